"""`session.db`: what a training session must not lose. What a method wrote is on disk when it returns.

`flip-agent train` alone opens it, on one connection and from one thread; a second process is refused. The instruction
with its objects is kept until the reply is, the reply until the hub has it, `context.state` for the latest runs.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from flip_agent.federation.flower import Instruction, Item, Reply, Run
from flip_agent.federation.steps import Step
from flip_agent.settings import Value
from flip_runtime.errors import Unavailable

_SCHEMA = """
create table if not exists node (one integer primary key check (one = 1), node_id text not null);
create table if not exists run (
    run_id text primary key, fab_hash text not null, overrides blob not null, context blob not null default x'',
    used integer not null
);
create table if not exists message (
    number integer primary key autoincrement, message_id text not null unique, run_id text not null,
    node_id text not null, step text not null, message blob not null, tree blob not null,
    reply blob, reply_tree blob, seconds real not null default 0
);
create table if not exists object (
    message_id text not null references message (message_id) on delete cascade,
    side text not null check (side in ('in', 'out')), object_id text not null, content blob not null,
    primary key (message_id, side, object_id)
);
"""
_OLDEST = """
select message_id, run_id, node_id, step, message, tree, reply, reply_tree, seconds
from message order by number limit 1
"""
_ACCEPT = "insert or ignore into message (message_id, run_id, node_id, step, message, tree) values (?, ?, ?, ?, ?, ?)"
_READY = "update message set step = ?, reply = ?, reply_tree = ?, seconds = ? where message_id = ?"
_KEEP_OBJECT = "insert or ignore into object (message_id, side, object_id, content) values (?, ?, ?, ?)"
_KEEP_RUN = """
insert into run (run_id, fab_hash, overrides, used) values (?, ?, ?, (select coalesce(max(used), 0) + 1 from run))
on conflict (run_id) do update set used = excluded.used
"""
_DROP_OLD_RUNS = """
delete from run where run_id not in (select run_id from run order by used desc limit ?)
and run_id not in (select run_id from message)
"""
_RUNS_KEPT = 16


class Message(Struct, frozen=True, kw_only=True):
    """One in progress."""

    instruction: Instruction
    step: Step
    reply: Reply | None
    """From `READY` on."""
    seconds: float
    """That the ClientApp took."""


class SessionStore:
    def __init__(self, path: Path) -> None:
        """Raises `Unavailable` when another process has it open."""
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            self._db.execute("pragma locking_mode = exclusive")  # before WAL: then it needs no shared memory either
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma foreign_keys = on")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._db.close()
            raise Unavailable(f"cannot open {path}: {error}", hint="is another flip-agent train running?") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    # ---- this device as a node, its runs ----

    def node(self) -> str | None:
        row = self._db.execute("select node_id from node").fetchone()
        return None if row is None else row[0]

    def keep_node(self, node_id: str) -> None:
        self._db.execute("insert or replace into node (one, node_id) values (1, ?)", (node_id,))

    def run(self, run_id: str) -> Run | None:
        row = self._db.execute("select fab_hash, overrides from run where run_id = ?", (run_id,)).fetchone()
        if row is None:
            return None
        overrides = msgspec.json.decode(row[1], type=dict[str, Value])
        return Run(run_id=run_id, fab_hash=row[0], overrides=overrides)

    def keep_run(self, run: Run) -> None:
        """The oldest beyond a fixed number go, and their `context.state` with them."""
        with self._db:
            self._db.execute("begin")
            self._db.execute(_KEEP_RUN, (run.run_id, run.fab_hash, msgspec.json.encode(run.overrides)))
            self._db.execute(_DROP_OLD_RUNS, (_RUNS_KEPT,))

    def context(self, run_id: str) -> bytes:
        """Empty before the first reply."""
        row = self._db.execute("select context from run where run_id = ?", (run_id,)).fetchone()
        return b"" if row is None else row[0]

    def apps_in_use(self) -> set[str]:
        return {row[0] for row in self._db.execute("select distinct fab_hash from run")}

    # ---- messages ----

    def accept(self, instruction: Instruction) -> None:
        row = (instruction.message_id, instruction.run_id, instruction.node_id, Step.PULLED)
        self._db.execute(_ACCEPT, (*row, instruction.message, instruction.tree))

    def oldest(self) -> Message | None:
        """The message to go on with."""
        row = self._db.execute(_OLDEST).fetchone()
        if row is None:
            return None
        message_id, run_id, node_id, step, message, tree, reply, reply_tree, seconds = row
        return Message(
            instruction=Instruction(run_id=run_id, node_id=node_id, message_id=message_id, message=message, tree=tree),
            step=Step(step),
            reply=None if reply is None else Reply(message=reply, tree=reply_tree),
            seconds=seconds,
        )

    def advance(self, message_id: str, step: Step) -> None:
        """To the step that is taken next. A message forgotten goes with all its objects."""
        if step is Step.FORGOTTEN:
            self._db.execute("delete from message where message_id = ?", (message_id,))
        else:
            self._db.execute("update message set step = ? where message_id = ?", (step, message_id))

    def make_ready(
        self, message_id: str, reply: Reply, last: Iterable[Item], *, context: bytes | None, seconds: float
    ) -> None:
        """Keeps the reply whole: with the objects not kept before, and the `context.state` that it led to."""
        with self._db:
            self._db.execute("begin")
            self._keep(message_id, "out", last)
            self._db.execute("delete from object where message_id = ? and side = 'in'", (message_id,))
            self._db.execute(_READY, (Step.READY, reply.message, reply.tree, seconds, message_id))
            if context is not None:
                run = "update run set context = ? where run_id = (select run_id from message where message_id = ?)"
                self._db.execute(run, (context, message_id))

    # ---- objects ----

    def keep_instruction_objects(self, message_id: str, items: Iterable[Item]) -> None:
        with self._db:
            self._db.execute("begin")
            self._keep(message_id, "in", items)

    def keep_reply_objects(self, message_id: str, items: Iterable[Item]) -> None:
        """Of a reply that is too large for memory; they count once `make_ready` has been called."""
        with self._db:
            self._db.execute("begin")
            self._keep(message_id, "out", items)

    def drop_reply_objects(self, message_id: str) -> None:
        self._db.execute("delete from object where message_id = ? and side = 'out'", (message_id,))

    def instruction_objects(self, message_id: str) -> set[str]:
        """Ids of those kept so far."""
        ids = "select object_id from object where message_id = ? and side = 'in'"
        return {row[0] for row in self._db.execute(ids, (message_id,))}

    def instruction_object(self, message_id: str, object_id: str) -> Item:
        return self._object(message_id, "in", object_id)

    def reply_object(self, message_id: str, object_id: str) -> Item:
        return self._object(message_id, "out", object_id)

    def _keep(self, message_id: str, side: str, items: Iterable[Item]) -> None:
        rows: Iterator[tuple[str, str, str, bytes]] = (
            (message_id, side, item.object_id, item.content) for item in items
        )
        self._db.executemany(_KEEP_OBJECT, rows)

    def _object(self, message_id: str, side: str, object_id: str) -> Item:
        content = "select content from object where message_id = ? and side = ? and object_id = ?"
        row = self._db.execute(content, (message_id, side, object_id)).fetchone()
        if row is None:
            raise LookupError(f"object {object_id} of {message_id} is not kept")
        return Item(object_id=object_id, content=row[0])
