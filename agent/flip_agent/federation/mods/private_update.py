"""What a run's privacy asks of this device, around the ClientApp: its update clipped, or clipped and drowned in noise.

Clipping is that of Flower's own mods. An app that clips as well changes nothing by it. Flower's `LocalDpMod` takes its
noise from NumPy's generator, which apps seed: here it is nobody's. An app that adds noise itself adds it to ours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp.mod import adaptiveclipping_mod, fixedclipping_mod
from flwr.clientapp.typing import ClientAppCallable
from flwr.supercore.differential_privacy import KEY_CLIPPING_NORM, KEY_NORM_BIT

from flip_agent.federation.mods.records import arrays_of, need_same
from flip_runtime.errors import Rejected
from flip_update.local_parts import split
from flip_update.noise import with_noise
from flip_wire.terms import Clipping, Noise

_NOTHING = 1e-12
"""Of an update's length: Flower's mods divide by it, computed in 32 bits."""
_FARTHEST = 1e18
"""Likewise: where they square it."""
_EXAMPLES = "num-examples"
_CONFIG = "config"


class PrivateUpdate:
    def __init__(self, privacy: Clipping | Noise, local: Sequence[str] = ()) -> None:
        """Arrays that match `local` are no part of what is sent."""
        self._privacy = privacy
        self._local = local

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Raises `Rejected` for a reply that cannot be made private: nothing leaves the device then."""
        if isinstance(self._privacy, Clipping) and not message.metadata.message_type.startswith("train"):
            return call_next(message, context)
        asked = arrays_of(message.content)
        base = {} if asked is None else split(asked[1], self._local)[0]
        norm = self._norm(message.content)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        answered = arrays_of(reply.content)
        if answered is not None:
            need_same(answered[1], base)
            reply.content[answered[0]] = ArrayRecord({name: answered[1][name] for name in base})
            reply = self._clipped(message, reply, context, base, norm)
        if isinstance(self._privacy, Noise) and not reply.has_error():
            self._hide(reply, self._privacy)
        return reply

    def _norm(self, content: RecordDict) -> float:
        if isinstance(self._privacy, Noise):
            return self._privacy.clipping_norm
        for record in content.config_records.values():
            norm = record.get(KEY_CLIPPING_NORM)
            if isinstance(norm, float) and 0 < norm < math.inf:
                return norm
        raise Rejected(f"the instruction's configuration has no {KEY_CLIPPING_NORM}")

    def _clipped(
        self, message: Message, reply: Message, context: Context, base: Mapping[str, Array], norm: float
    ) -> Message:
        """By Flower's mod, which is shown what is sent: the shared arrays, and the norm."""
        message.content = RecordDict(
            {"arrays": ArrayRecord(dict(base)), _CONFIG: ConfigRecord({KEY_CLIPPING_NORM: norm})}
        )
        still = _length(reply, base) < _NOTHING
        if not isinstance(self._privacy, Clipping) or not self._privacy.adaptive:
            return reply if still else fixedclipping_mod(message, context, lambda *_: reply)
        bit = _bit(reply)
        if not still:
            reply = adaptiveclipping_mod(message, context, lambda *_: reply)
        for metrics in () if reply.has_error() else reply.content.metric_records.values():
            metrics[KEY_NORM_BIT] = max(bit, int(bool(metrics.get(KEY_NORM_BIT, 0))))
        return reply

    def _hide(self, reply: Message, noise: Noise) -> None:
        """Leaves of the reply noisy arrays, a weight that says nothing, and metrics where they may be seen."""
        content: dict[str, Any] = {}
        for name, record in reply.content.items():
            if isinstance(record, ArrayRecord):
                noisy = {key: Array(with_noise(array.numpy(), noise.stddev)) for key, array in record.items()}
                content[name] = ArrayRecord(noisy)
            elif isinstance(record, MetricRecord):
                content[name] = record if noise.metrics else MetricRecord({_EXAMPLES: 1})
        reply.content = RecordDict(content)


def _length(reply: Message, base: Mapping[str, Array]) -> float:
    """Raises `Rejected` when it is no number: what cannot be clipped does not leave the device."""
    (record,) = reply.content.array_records.values()
    squares = 0.0
    for name, array in record.items():
        difference = np.subtract(array.numpy(), base[name].numpy(), dtype=np.float64).reshape(-1)
        squares += float(np.vdot(difference, difference))
    if not squares < _FARTHEST**2:
        raise Rejected("the app's arrays are not finite, or out of all bounds")
    return math.sqrt(squares)


def _bit(reply: Message) -> int:
    """Of an app that clips by itself: to ours its update is short enough."""
    return max((int(bool(each.get(KEY_NORM_BIT, 0))) for each in reply.content.metric_records.values()), default=0)
