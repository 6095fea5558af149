"""Flower's objects, read without building a message: what an instruction says, and a finished reply given once more.

Of an instruction the terms are read from two small objects of it, its arrays stay where they are. What two instructions
say is the same when their content has the same hash, whatever their heads say: after its ServerApp or SuperLink has
died, a run asks again in the same words, and a reply that lies here is the answer.
"""

import json
import logging
from collections.abc import Callable

import msgspec
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import get_object_body

from flip_agent.federation.flower import Instruction, Item, Reply, redated
from flip_wire.terms import RECORD, TERMS, Terms, decode_terms

log = logging.getLogger(__name__)


def content_of(tree: bytes) -> str:
    """The hash of all that a message says; empty when it carries an error."""
    children = ObjectTree.FromString(tree).children
    return children[0].object_id if children else ""


def terms_of(tree: bytes, read: Callable[[str], bytes]) -> Terms | None:
    """None of an instruction without, or of terms that this version does not understand. `read` gives an object."""
    content = content_of(tree)
    if not content:
        return None
    record = json.loads(get_object_body(read(content), RecordDict)).get(RECORD)
    if record is None:
        return None
    terms = ConfigRecord.inflate(read(record)).get(TERMS)
    try:
        return decode_terms(terms) if isinstance(terms, bytes) else None
    except msgspec.DecodeError as error:
        log.warning("terms are not understood", extra={"reason": str(error)})
        return None


def answered_again(earlier: Reply, instruction: Instruction, seconds: float) -> tuple[Reply, Item]:
    """A reply that lies here, as the answer to another instruction that says the same: its head, and the one object
    of it that is new."""
    known = _Known(content_of(earlier.tree))
    asked = message_from_proto(MessageProto.FromString(instruction.message))
    reply = Message(known, reply_to=asked)
    redated(reply, asked, seconds)
    root = reply.deflate()
    reply.metadata.__dict__["_message_id"] = reply.object_id
    tree = ObjectTree(object_id=reply.object_id, children=ObjectTree.FromString(earlier.tree).children)
    head = Reply(
        message=message_to_proto(remove_content_from_message(reply)).SerializeToString(), tree=tree.SerializeToString()
    )
    return head, Item(object_id=reply.object_id, content=root)


class _Known(RecordDict):
    """Stands for a content whose objects are not at hand."""

    def __init__(self, object_id: str) -> None:
        super().__init__()
        self.__dict__["_known"] = object_id

    @property
    def object_id(self) -> str:
        return self.__dict__["_known"]
