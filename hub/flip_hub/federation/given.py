"""What each device was given and has not confirmed: the message, and the objects that it may fetch for it.

The SuperLink hands a message out once, even into a connection that has died unnoticed, as long polls do. So one that
the device did not confirm is given to its next pull, once more; devices know it by its id. And the SuperLink gives any
object of a run to any node; here it is known which ones a device was sent.
"""

from collections import OrderedDict
from weakref import WeakValueDictionary

from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from msgspec import Struct

from flip_hub.federation.upstream import Answer
from flip_wire.fleet import DeviceId

_DEVICES = 20_000
"""Those that were given something least recently make room."""
_MESSAGES = 8
"""Of one device; Flower's SuperNode works on one at a time, and may have lost some."""


class Objects(frozenset[str]):
    """Those below a message, which every device of a round is sent: held once (a plain frozenset has no weak
    references)."""


class _Given(Struct, kw_only=True):
    again: Answer | None = None
    objects: OrderedDict[str, Objects]
    """Below each message, by the message's id."""


class Given:
    def __init__(self) -> None:
        self._devices: OrderedDict[DeviceId, _Given] = OrderedDict()
        self._shared: WeakValueDictionary[bytes, Objects] = WeakValueDictionary()

    def note(self, device_id: DeviceId, answer: Answer, pulled: PullMessagesResponse) -> None:
        given = self._devices.setdefault(device_id, _Given(objects=OrderedDict()))
        self._devices.move_to_end(device_id)
        given.again = answer
        for tree in pulled.message_object_trees:
            given.objects[tree.object_id] = self._below(tree)
        while len(given.objects) > _MESSAGES:
            given.objects.popitem(last=False)
        while len(self._devices) > _DEVICES:
            self._devices.popitem(last=False)

    def once_more(self, device_id: DeviceId) -> Answer | None:
        """The message that it has not confirmed; only the first time."""
        given = self._devices.get(device_id)
        if given is None:
            return None
        again, given.again = given.again, None
        return again

    def is_message(self, device_id: DeviceId, object_id: str) -> bool:
        """Whether it is a message that this device was given, and nobody else."""
        given = self._devices.get(device_id)
        return given is not None and object_id in given.objects

    def is_part(self, device_id: DeviceId, object_id: str) -> bool:
        """Whether a message that this device was given consists of it; other devices' messages may, too."""
        given = self._devices.get(device_id)
        return given is not None and any(object_id in below for below in given.objects.values())

    def confirmed(self, device_id: DeviceId, message_id: str) -> None:
        """The device has the message and all its objects."""
        given = self._devices.get(device_id)
        if given is not None:
            given.again = None
            given.objects.pop(message_id, None)
            if not given.objects:
                del self._devices[device_id]

    def joined(self, device_id: DeviceId) -> None:
        """It has begun anew."""
        given = self._devices.get(device_id)
        if given is not None:
            given.again = None

    def clear(self) -> None:
        self._devices.clear()

    def _below(self, tree: ObjectTree) -> Objects:
        key = b"".join(child.SerializeToString() for child in tree.children)
        shared = self._shared.get(key)
        if shared is None:
            shared = Objects(node.object_id for child in tree.children for node in iterate_object_tree(child))
            self._shared[key] = shared
        return shared
