"""With what a run begins when its plan names a registered model or a round of an earlier run."""

from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.numpy import load

from flip_hub.federation.aggregator.intake import form
from flip_hub.federation.aggregator.memory import Memory
from flip_hub.federation.checkpoint import Checkpoints, Place
from flip_hub.federation.plan import Start
from flip_runtime.errors import Rejected


class Begin(Struct, frozen=True):
    """After a round of an earlier run."""

    checkpoints: Checkpoints
    place: Place

    @property
    def memory(self) -> Memory:
        """Raises `Corrupt`."""
        return Memory(self.checkpoints.read(self.place))


def checkpoint_to_begin_after(runs: Path, start: Start | None) -> Begin | None:
    """None when the plan names no run. Raises `Rejected` when that round has no checkpoint any more."""
    if start is None or not start.run_id:
        return None
    checkpoints = Checkpoints(runs / start.run_id)
    return Begin(checkpoints, checkpoints.after(start.round))


def arrays_of_version(weights: bytes, own: ArrayRecord) -> ArrayRecord:
    """The app's arrays with the values of a version's weights (safetensors); what these do not hold, such as a counter
    that no graph uses, stays the app's. Raises `Rejected` when they are of another model."""
    try:
        values = load(weights)
    except SafetensorError as error:
        raise Rejected(f"the version's weights cannot be read: {error}") from error
    found = ArrayRecord({name: Array(np.asarray(value)) for name, value in values.items()})
    return ArrayRecord({**own, **_fitted(found, own, "the version")})


def arrays_of_run(kept: ArrayRecord, own: ArrayRecord) -> ArrayRecord:
    """A checkpoint's. Raises `Rejected` when they are of another model than the app's."""
    for name in own:
        if name not in kept:
            raise Rejected(f"the earlier run lacks {name!r}, which the app's model has", hint=_HINT)
    return ArrayRecord(_fitted(kept, own, "the earlier run"))


def _fitted(found: ArrayRecord, own: ArrayRecord, where: str) -> dict[str, Array]:
    """In the app's precision: some strategies (FedAdam) make float64 of float32."""
    forms = {name: (dtype, shape) for name, dtype, shape in form(own)}
    fitted = dict(found)
    for name, dtype, shape in form(found):
        if name not in forms:
            raise Rejected(f"{where} has {name!r}, which the app's model does not have", hint=_HINT)
        wanted, expected = forms[name]
        if shape != expected or (dtype != wanted and not {dtype, wanted} <= _FLOATS):
            said = f"{name} of {where} is {dtype} {list(shape)}, of the app's model {wanted} {list(expected)}"
            raise Rejected(said, hint=_HINT)
        if found[name].dtype != own[name].dtype and {found[name].dtype, own[name].dtype} <= _FLOATS:
            fitted[name] = Array(found[name].numpy().astype(own[name].dtype))
    return fitted


_FLOATS = {"float16", "float32", "float64"}
_HINT = "start from a model of the same app"
