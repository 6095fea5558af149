"""What is told of a reply: that it is here, that it was refused and why, or that Flower answered in its place."""

from collections.abc import Iterator

from flwr.app import Message
from flwr.common.constant import SUPERLINK_NODE_ID

from flip_hub.federation.aggregator.instructions import Sent
from flip_hub.federation.aggregator.statements import examples_of
from flip_hub.federation.aggregator.strategies.lazy_array import size_of
from flip_hub.federation.schemas import RepliesMissed, ReplyContent, ReplyReceived, ReplyRefused, RunReport
from flip_wire.statements import Signed

_LONGEST = 500
"""Characters that are told of why a device failed: it may say anything."""


def received(reply: Message, sent: Sent | None, signed: Signed | None = None) -> Iterator[RunReport]:
    """`signed`: what its device has signed of it."""
    answered = reply.metadata.reply_to_message_id
    if sent is None:
        if reply.metadata.src_node_id != SUPERLINK_NODE_ID:
            node = str(reply.metadata.src_node_id)
            yield ReplyReceived(round=0, phase="", node=node, error="", message=answered, content=_content_of(reply))
        return
    error = (reply.error.reason or f"error {reply.error.code}")[:_LONGEST] if reply.has_error() else ""
    from_device = str(reply.metadata.src_node_id) == sent.node  # Flower answers for a node that it calls offline
    yield ReplyReceived(
        round=sent.round,
        phase=sent.phase,
        node=sent.node,
        error=error,
        message=answered if from_device else "",
        content=_content_of(reply, sent, signed) if from_device else None,
    )
    if not from_device:
        yield RepliesMissed(messages=[answered], reason=f"its round went on without it: {error}")


def refused(reply: Message, sent: Sent | None, reason: str) -> ReplyRefused:
    return ReplyRefused(
        round=0 if sent is None else sent.round,
        phase="" if sent is None else sent.phase,
        node=str(reply.metadata.src_node_id),
        message=reply.metadata.reply_to_message_id,
        reason=reason,
    )


def node_of(reply: Message) -> int:
    return reply.metadata.src_node_id


def answered_by(reply: Message) -> str:
    """Id of the instruction."""
    return reply.metadata.reply_to_message_id


def _content_of(reply: Message, sent: Sent | None = None, signed: Signed | None = None) -> ReplyContent | None:
    """None when there is none, only an error."""
    if not reply.has_content():
        return None
    arrays = [array for record in reply.content.array_records.values() for array in record.values()]
    weights = examples_of(reply.content)
    return ReplyContent(
        sha256=reply.metadata.message_id,
        size=sum(size_of(array) for array in arrays),
        weight=weights[0] if weights else None,
        signed=signed,
        key=sent.signer.key if sent and sent.signer and signed else "",
    )
