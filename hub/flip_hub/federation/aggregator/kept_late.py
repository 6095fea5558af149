"""Replies that a ServerApp before this one waited for beyond their round, and that the hub keeps since it died.

Each is put together from what the hub has, is looked at as any other reply, and folded into the round that goes on
(`latecomers`). It counts when a checkpoint holds what came of it; until then the hub names it again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

import msgspec
from flwr.app import ArrayRecord, Message
from flwr.proto.message_pb2 import ObjectTree
from google.protobuf.message import DecodeError

from flip_hub.federation.aggregator.fetching import Assembly
from flip_hub.federation.aggregator.hub_line import HubLine
from flip_hub.federation.aggregator.instructions import Instructions, Sent
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.spool import Spool
from flip_hub.federation.brief import Foldable
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.contributions import LateReply

log = logging.getLogger("flwr.flip")

_WITHIN = 5.0
"""Seconds that the hub is asked: it may have dropped one meanwhile, and the round does not wait for it."""


class KeptLate:
    def __init__(self, line: HubLine, path: str, spool: Spool, base_of: Callable[[int], ArrayRecord | None]) -> None:
        """`path`: of the run at the hub; `base_of(round)`: what its devices were given, None when that is gone."""
        self._line = line
        self._path = path
        self._assembly = Assembly(spool, self._objects)
        self._base_of = base_of
        self._given: set[str] = set()

    def replies(self, rounds: int, instructions: Instructions, roster: Roster) -> Iterator[tuple[Message, Sent]]:
        """That are at most so many rounds late in the one under way, with what was sent then; each once."""
        number = instructions.round
        for what in self._listed(number - rounds) if rounds else []:
            base = None if what.message_id in self._given or what.round >= number else self._base_of(what.round)
            if base is None:
                continue
            try:
                reply = self._reply(what)
            except (Unavailable, Rejected) as error:
                log.warning("a late reply of round %d cannot be had: %s", what.round, error)
                continue
            self._given.add(what.message_id)
            node = reply.metadata.src_node_id
            facts = roster.of(node)
            if facts is not None and facts.device_id == what.device_id:
                yield reply, instructions.before(what.round, node, base, facts)

    def _listed(self, since: int) -> list[Foldable]:
        try:
            return self._line.ask(f"{self._path}/late?since={max(since, 1)}", list[Foldable], within=_WITHIN)
        except (Unavailable, Rejected) as error:
            log.warning("the hub does not say which late replies it keeps: %s", error)
            return []

    def _reply(self, what: Foldable) -> Message:
        try:
            late = msgspec.msgpack.decode(self._content(what.reply), type=LateReply)
            tree = ObjectTree.FromString(late.tree)
        except (msgspec.DecodeError, DecodeError) as error:
            raise Rejected(f"it is not what the hub keeps of late replies: {error}") from error
        reply = self._assembly.message(tree, what.message_id)
        if reply.metadata.reply_to_message_id != what.message_id:
            raise Rejected("it answers another instruction")
        reply.metadata.__dict__["_message_id"] = tree.object_id
        return reply

    def _objects(self, object_ids: Iterable[str]) -> dict[str, bytes]:
        return {object_id: self._content(object_id) for object_id in object_ids}

    def _content(self, sha256: str) -> bytes:
        return self._line.fetch(f"/internal/v1/late/{sha256}", within=_WITHIN)
