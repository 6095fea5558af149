"""`session.db`: what a training session must not lose. What a method wrote is on disk when it returns.

`flip-agent train` alone opens it, on one connection; a second process is refused. The instruction with its objects is
kept until the reply is, the reply until it is known what became of it, `context.state` for the latest runs. An event
is written together with the step that it tells of (`session_events`), and so is when a step began (`session_marks`); of
a message that is forgotten both leave the spans.

Nothing that the disk has damaged is ever used: objects are named by their SHA-256, all else carries a CRC.
"""

from collections.abc import Iterable
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Self
from zlib import crc32

import msgspec
from msgspec import Struct

from flip_agent.durable_file import Column, DurableFile
from flip_agent.federation import session_events, session_marks, session_objects, session_receipts
from flip_agent.federation.flower import Instruction, Item, Reply, Run
from flip_agent.federation.session_events import SessionEvents
from flip_agent.federation.session_marks import SessionMarks
from flip_agent.federation.session_objects import SessionObjects
from flip_agent.federation.session_receipts import SessionReceipts
from flip_agent.federation.steps import SETTLING, Step
from flip_agent.federation.timeline import Mark, error_of, spans_of
from flip_agent.settings import Value
from flip_runtime.errors import Corrupt
from flip_wire.telemetry import SessionEvent

_SCHEMA = """
create table if not exists node (one integer primary key check (one = 1), node_id text not null);
create table if not exists run (
    run_id text primary key, fab_hash text not null, overrides blob not null, context blob not null default x'',
    used integer not null, context_crc integer not null default 0
);
create table if not exists message (
    number integer primary key autoincrement, message_id text not null unique, run_id text not null,
    node_id text not null, step text not null, message blob not null, tree blob not null, crc integer not null,
    attempts integer not null default 0,
    reply blob, reply_tree blob, seconds real not null default 0, reply_crc integer not null default 0,
    late text not null default ''
);
"""
_COLUMNS = "message_id, run_id, node_id, step, message, tree, crc, reply, reply_tree, seconds, reply_crc, late"
_NEXT = f"select {_COLUMNS} from message where step not in ('pushed', 'late') order by number limit 1"  # noqa: S608
_UNSETTLED = f"select {_COLUMNS} from message where step in ('pushed', 'late') order by number limit ?"  # noqa: S608
assert {"pushed", "late"} == SETTLING
_ACCEPT = """
insert or ignore into message (message_id, run_id, node_id, step, message, tree, crc) values (?, ?, ?, ?, ?, ?, ?)
"""
_READY = "update message set step = ?, reply = ?, reply_tree = ?, seconds = ?, reply_crc = ? where message_id = ?"
_KEEP_RUN = """
insert into run (run_id, fab_hash, overrides, used) values (?, ?, ?, (select coalesce(max(used), 0) + 1 from run))
on conflict (run_id) do update set used = excluded.used
"""
_DROP_OLD_RUNS = """
delete from run where run_id not in (select run_id from run order by used desc limit ?)
and run_id not in (select run_id from message)
"""
_KEEP_CONTEXT = """
update run set context = ?, context_crc = ? where run_id = (select run_id from message where message_id = ?)
"""
_SAME_CONTEXT = """
update run set lasting = :lasting,
context = coalesce((
    select context from run where lasting = :lasting and context != x'' order by used desc limit 1), context),
context_crc = coalesce((
    select context_crc from run where lasting = :lasting and context != x'' order by used desc limit 1), context_crc)
where run_id = :run_id and lasting = ''
"""
_LEAVE_CONTEXT = """
update run set context = x'', context_crc = 0 where lasting = :lasting and run_id != :run_id
"""
_FINISHED = f"""
select {_COLUMNS} from message where reply is not null and message_id != ? and run_id != ?
"""  # noqa: S608
_ADDED = (Column("run", "lasting", "text not null default ''"),)
_RUNS_KEPT = 16
_VERSION = 2
"""Of the layout."""


class Message(Struct, frozen=True, kw_only=True):
    """One in progress."""

    instruction: Instruction
    step: Step
    reply: Reply | None
    """From `READY` on; None also when the disk has damaged it."""
    seconds: float
    """That the ClientApp took."""
    late: str
    """Why no round takes the reply, from `LATE` on."""


class SessionStore:
    def __init__(self, path: Path, *, events_kept: int = session_events.KEPT) -> None:
        """Raises `Unavailable` when another process has it open, `Corrupt` when it cannot be read."""
        parts = (session_objects, session_events, session_marks, session_receipts)
        schema = _SCHEMA + "".join(part.SCHEMA for part in parts)
        self._file = DurableFile(path, schema, version=_VERSION, added=(*_ADDED, *session_events.ADDED))
        self.objects = SessionObjects(self._file)
        self.events = SessionEvents(self._file, events_kept)
        self.receipts = SessionReceipts(self._file)
        self._marks = SessionMarks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    # ---- this device as a node, its runs ----

    def node(self) -> str | None:
        row = self._file.row("select node_id from node")
        return None if row is None else row[0]

    def keep_node(self, node_id: str) -> None:
        with self._file.transaction() as db:
            db.execute("insert or replace into node (one, node_id) values (1, ?)", (node_id,))

    def run(self, run_id: str) -> Run | None:
        row = self._file.row("select fab_hash, overrides from run where run_id = ?", (run_id,))
        if row is None:
            return None
        overrides = msgspec.json.decode(row[1], type=dict[str, Value])
        return Run(run_id=run_id, fab_hash=row[0], overrides=overrides)

    def keep_run(self, run: Run) -> None:
        """The oldest beyond a fixed number go, and their `context.state` with them."""
        with self._file.transaction() as db:
            db.execute(_KEEP_RUN, (run.run_id, run.fab_hash, msgspec.json.encode(run.overrides)))
            db.execute(_DROP_OLD_RUNS, (_RUNS_KEPT,))

    def lasts(self, run_id: str, lasting: str) -> None:
        """Flower's run is the hub's run of that name: it goes on with the state that the app kept under the numbers
        which it had before. These have it no more: no secret in it serves twice."""
        names = {"run_id": run_id, "lasting": lasting}
        with self._file.transaction() as db:
            if db.execute(_SAME_CONTEXT, names).rowcount:
                db.execute(_LEAVE_CONTEXT, names)

    def context(self, run_id: str) -> bytes:
        """Empty before the first reply. Raises `Corrupt` when the disk has damaged it."""
        row = self._file.row("select context, context_crc from run where run_id = ?", (run_id,))
        if row is None:
            return b""
        if _crc(row[0]) != row[1]:
            raise Corrupt("the state that the app kept on this device was damaged on its disk")
        return row[0]

    def runs_with_context(self) -> list[str]:
        return [row[0] for row in self._file.rows("select run_id from run where context != x''")]

    def keep_context(self, run_id: str, context: bytes) -> None:
        with self._file.transaction() as db:
            db.execute("update run set context = ?, context_crc = ? where run_id = ?", (context, _crc(context), run_id))

    def apps_in_use(self) -> set[str]:
        return {row[0] for row in self._file.rows("select distinct fab_hash from run")}

    # ---- messages ----

    def accept(self, instruction: Instruction) -> None:
        row = (instruction.message_id, instruction.run_id, instruction.node_id, Step.PULLED)
        with self._file.transaction() as db:
            db.execute(_ACCEPT, (*row, instruction.message, instruction.tree, _seal_of(instruction)))
            self._marks.keep_with(db, instruction.message_id, Step.PULLED, self._marks.now())

    def next(self) -> Message | None:
        """The message to go on with. One that the disk has damaged is reported, and the next one taken."""
        while (row := self._file.row(_NEXT)) is not None:
            if (message := self._sound(row)) is not None:
                return message
        return None

    def unsettled(self, limit: int) -> list[Message]:
        """The oldest of those whose fate is awaited."""
        return [message for row in self._file.rows(_UNSETTLED, (limit,)) if (message := self._sound(row)) is not None]

    def advance(self, message_id: str, step: Step, event: SessionEvent | None = None, *, late: str = "") -> None:
        """To the step that is taken next. A message forgotten goes with all its objects."""
        now = self._marks.now(error_of(event))
        with self._file.transaction() as db:
            self.events.keep_with(db, event)
            if step is Step.FORGOTTEN:
                marks = self._forget(db, message_id)
                self.events.keep_with(db, None if event is None else spans_of(marks, now, event))
            else:
                db.execute("update message set step = ?, late = ? where message_id = ?", (step, late, message_id))
                self._marks.keep_with(db, message_id, step, now)

    def begin_attempt(self, message_id: str) -> int:
        """Before each training of a message: which one in number it is."""
        with self._file.transaction() as db:
            db.execute("update message set attempts = attempts + 1 where message_id = ?", (message_id,))
        return self._file.row("select attempts from message where message_id = ?", (message_id,))[0]

    def make_ready(
        self,
        message_id: str,
        reply: Reply,
        last: Iterable[Item],
        *,
        context: bytes | None,
        seconds: float,
        held: float = 0.0,
        event: SessionEvent | None = None,
    ) -> None:
        """Keeps the reply whole: with the objects not kept before, and the `context.state` that it led to.

        `held`: seconds that the training was paused.
        """
        with self._file.transaction() as db:
            self._make_ready(db, message_id, reply, last, seconds, held, event)
            if context is not None:
                db.execute(_KEEP_CONTEXT, (context, _crc(context), message_id))

    def finished(self, instruction: Instruction) -> list[Message]:
        """Messages of other runs of Flower's whose reply lies here whole."""
        rows = self._file.rows(_FINISHED, (instruction.message_id, instruction.run_id))
        return [message for row in rows if (message := self._sound(row)) is not None and message.reply is not None]

    def hand_on(self, earlier: Message, message_id: str, reply: Reply, root: Item, event: SessionEvent) -> None:
        """The reply to `earlier` is the reply to `message_id`, which has the head `reply` and the object `root`; the
        earlier message is forgotten."""
        before = earlier.instruction
        with self._file.transaction() as db:
            self.objects.hand_on(db, before.message_id, message_id)
            self.receipts.hand_on(db, before.message_id, message_id)
            self._make_ready(db, message_id, reply, [root], earlier.seconds, 0.0, event)
            marks = self._forget(db, before.message_id)
            last = SessionEvent(run_id=before.run_id, message_id=before.message_id, step="trained")
            self.events.keep_with(db, spans_of(marks, self._marks.now(), last))

    def holds(self, message_id: str) -> bool:
        return self._file.row("select 1 from message where message_id = ?", (message_id,)) is not None

    def _make_ready(
        self,
        db: Connection,
        message_id: str,
        reply: Reply,
        last: Iterable[Item],
        seconds: float,
        held: float,
        event: SessionEvent | None,
    ) -> None:
        self.objects.made_ready(db, message_id, last)
        crc = _crc(reply.message, reply.tree)
        db.execute(_READY, (Step.READY, reply.message, reply.tree, seconds, crc, message_id))
        self._marks.keep_with(db, message_id, Step.READY, self._marks.now(error_of(event), held))
        self.events.keep_with(db, event)

    def _forget(self, db: Connection, message_id: str) -> dict[Step, Mark]:
        db.execute("delete from message where message_id = ?", (message_id,))
        return self._marks.take(db, message_id)

    def _sound(self, row: Any) -> Message | None:
        message_id, run_id, node_id, step, message, tree, crc, reply, reply_tree, seconds, reply_crc, late = row
        instruction = Instruction(run_id=run_id, node_id=node_id, message_id=message_id, message=message, tree=tree)
        if crc != _seal_of(instruction) or step not in set(Step):
            lost = "the instruction was damaged on this device's disk"
            event = SessionEvent(run_id=run_id, message_id=message_id, step="failed", detail=lost)
            with self._file.transaction() as db:
                self._forget(db, message_id)
                self.events.keep_with(db, event)
            return None
        sound = reply is not None and reply_crc == _crc(reply, reply_tree)
        return Message(
            instruction=instruction,
            step=Step(step),
            reply=Reply(message=reply, tree=reply_tree) if sound and reply is not None else None,
            seconds=seconds,
            late=late,
        )


def _seal_of(instruction: Instruction) -> int:
    names = f"{instruction.message_id} {instruction.run_id} {instruction.node_id}".encode()
    return _crc(names, instruction.message, instruction.tree)


def _crc(*parts: object) -> int:
    """Also of what a damaged file gives in the place of bytes."""
    value = 0
    for part in parts:
        value = crc32(part if isinstance(part, bytes) else repr(part).encode(), value)
    return value
