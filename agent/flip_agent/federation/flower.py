"""What this device needs of Flower's insides beside the wire (`fleet_client`): messages as flat objects, apps,
contexts.

A message travels as a tree of objects, each with the SHA-256 of its content as its id; arrays come in chunks of 5 MiB.
Pinned to flwr 1.41; other modules of the agent import only what Flower documents.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.clientapp import ClientApp
from flwr.clientapp.client_app import LoadClientAppError
from flwr.common.config import get_fused_config_from_dir
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto, recorddict_from_proto, recorddict_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.object_ref import load_app
from msgspec import Struct
from numpy.typing import NDArray

from flip_agent.settings import Value
from flip_runtime.errors import Rejected

# Flower logs every message it knows as routine; what matters is logged here.
logging.getLogger("flwr").setLevel(logging.WARNING)

APP_RAISED = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
APP_CRASHED = ErrorCode.CLIENT_APP_CRASHED
APP_NOT_LOADED = ErrorCode.LOAD_CLIENT_APP_EXCEPTION
APP_REFUSED = ErrorCode.INVALID_FAB


class Run(Struct, frozen=True, kw_only=True):
    run_id: str
    """Flower's numbers are 64 bits wide, so text."""
    fab_hash: str
    overrides: dict[str, Value]
    """Of the app's configuration."""


class Fab(Struct, frozen=True, kw_only=True):
    """An app as one file, and who says what of it."""

    content: bytes
    verifications: dict[str, str]


class Instruction(Struct, frozen=True, kw_only=True):
    """A message to this device, without its objects."""

    run_id: str
    node_id: str
    """To whom it was sent; another one after the SuperLink has lost its state."""
    message_id: str
    message: bytes
    tree: bytes


class Item(Struct, frozen=True, kw_only=True, tag=True):
    """One object of a message."""

    object_id: str
    content: bytes


class Reply(Struct, frozen=True, kw_only=True):
    """A reply without its objects."""

    message: bytes
    tree: bytes


def instruction_of(message: MessageProto, tree: ObjectTree) -> Instruction:
    return Instruction(
        run_id=str(message.metadata.run_id),
        node_id=str(message.metadata.dst_node_id),
        message_id=tree.object_id,
        message=message.SerializeToString(),
        tree=tree.SerializeToString(),
    )


def object_ids(tree: bytes) -> list[str]:
    """Children before parents, each once."""
    return list(dict.fromkeys(node.object_id for node in iterate_object_tree(ObjectTree.FromString(tree))))


def inflate(message_id: str, contents: dict[str, bytes]) -> Message:
    """Builds the message from its objects, and empties `contents` on the way to save memory."""
    message = inflate_object_from_contents(message_id, contents)
    if not isinstance(message, Message):
        raise Rejected(f"{message_id} is a {type(message).__name__}, not a message")
    message.metadata.__dict__["_message_id"] = message_id  # an object cannot hold its own hash
    return message


def redated(reply: Message, instruction: Message, seconds: float) -> None:
    """Its dates are counted from the instruction's, which are the hub's: this device's clock may be wrong, and a reply
    that seems to outlive its instruction is dropped without a word."""
    reply.metadata.created_at = instruction.metadata.created_at + seconds
    reply.metadata.ttl = max(instruction.metadata.ttl - seconds, 1.0)


def flatten(reply: Message, instruction: Message, seconds: float) -> tuple[Reply, Iterator[Item]]:
    """The reply's head, and its objects one by one. `seconds` passed since the instruction came."""
    redated(reply, instruction, seconds)
    reply.metadata.__dict__["_message_id"] = reply.object_id
    with no_object_id_recompute():
        head = Reply(
            message=message_to_proto(remove_content_from_message(reply)).SerializeToString(),
            tree=get_object_tree(reply).SerializeToString(),
        )
        objects = get_all_nested_objects(reply)
    return head, (Item(object_id=key, content=item.deflate()) for key, item in objects.items())


def error_of(reply: Reply) -> Error | None:
    """What a reply says went wrong; None when it carries content."""
    message = MessageProto.FromString(reply.message)
    return Error(code=message.error.code, reason=message.error.reason) if message.HasField("error") else None


def error_reply(instruction: Instruction, code: int, reason: str) -> tuple[Reply, Iterator[Item]]:
    """Tells the strategy that there is no result, and why."""
    asked = message_from_proto(MessageProto.FromString(instruction.message))
    return flatten(Message(Error(code=code, reason=reason), reply_to=asked), asked, 0.0)


def run_config(app: Path, overrides: Mapping[str, Value]) -> dict[str, Value]:
    """The app's defaults with the run's overrides. Raises `Rejected` when they are none that Flower takes."""
    try:
        return get_fused_config_from_dir(app, dict(overrides))
    except (KeyError, ValueError, FileNotFoundError) as error:
        raise Rejected(f"the app's configuration: {error}") from error


def load_client_app(app: Path, reference: str) -> ClientApp:
    """Puts the folder on the module path and imports. Raises whatever the app's modules raise."""
    loaded = load_app(reference, LoadClientAppError, app)
    if not isinstance(loaded, ClientApp):
        raise LoadClientAppError(f"{reference} is a {type(loaded).__name__}, not a ClientApp")
    return loaded


def context(
    *, run_id: str, node_id: str, node_config: Mapping[str, Value], run_config: Mapping[str, Value], state: bytes
) -> Context:
    """`state` as `context_state` gave it after the message before; empty at first."""
    records = recorddict_from_proto(RecordDictProto.FromString(state)) if state else RecordDict()
    return Context(
        run_id=int(run_id),
        node_id=int(node_id),
        node_config=dict(node_config),
        state=records,
        run_config=dict(run_config),
    )


def kept_arrays(state: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The record of arrays of that name, of a `state` as `context_state` gives it; empty where there is none."""
    found = [item for item in RecordDictProto.FromString(state).items if item.key == name]
    records = recorddict_from_proto(RecordDictProto(items=found)).array_records
    return {key: array.numpy() for key, array in records[name].items()} if name in records else {}


def context_state(after: Context) -> bytes:
    return recorddict_to_proto(after.state).SerializeToString()
