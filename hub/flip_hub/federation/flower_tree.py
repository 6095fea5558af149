"""The tree of a Flower message: of which objects it consists, each named by the SHA-256 of its content."""

from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from google.protobuf.message import DecodeError

from flip_hub.problem import Refused
from flip_wire.models import Sha256


def objects_of(tree: bytes) -> list[Sha256]:
    """Children before parents, each once. Raises `Refused` when it is no tree."""
    try:
        nodes = iterate_object_tree(ObjectTree.FromString(tree))
    except DecodeError as error:
        raise Refused("the tree is not Flower's ObjectTree") from error
    return list(dict.fromkeys(Sha256(node.object_id) for node in nodes))
