"""With what a run begins when its plan names a registered model or a round of an earlier run."""

from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.numpy import load

from flip_hub.federation.checkpoint import Checkpoints, Place
from flip_hub.federation.plan import Start
from flip_runtime.errors import Rejected


class Begin(Struct, frozen=True):
    checkpoints: Checkpoints
    place: Place


def checkpoint_to_begin_after(runs: Path, start: Start | None) -> Begin | None:
    """None when the plan names no run. Raises `Rejected` when that round has no checkpoint any more."""
    if start is None or not start.run_id:
        return None
    checkpoints = Checkpoints(runs / start.run_id)
    finished = [place for place in checkpoints.places() if place.done and place.start == 1]
    place = next((place for place in reversed(finished) if start.round in (0, place.round)), None)
    if place is None:
        rounds = ", ".join(str(each.round) for each in finished) or "none"
        raise Rejected(f"{start.run_id} has no checkpoint of round {start.round}", hint=f"there are: {rounds}")
    return Begin(checkpoints, place)


def arrays_of_version(weights: bytes, own: ArrayRecord) -> ArrayRecord:
    """The app's arrays with the values of a version's weights (safetensors); what these do not hold, such as a counter
    that no graph uses, stays the app's. Raises `Rejected` when they are of another model."""
    try:
        values = load(weights)
    except SafetensorError as error:
        raise Rejected(f"the version's weights cannot be read: {error}") from error
    for name, value in values.items():
        if name not in own:
            raise Rejected(f"the version has {name!r}, which the app's model does not have", hint=_HINT)
        if tuple(own[name].shape) != value.shape or own[name].dtype != str(value.dtype):
            found, wanted = f"{value.dtype} {list(value.shape)}", f"{own[name].dtype} {list(own[name].shape)}"
            raise Rejected(f"{name} of the version is {found}, of the app's model {wanted}", hint=_HINT)
    return ArrayRecord({name: Array(np.asarray(values[name])) if name in values else own[name] for name in own})


_HINT = "start from a version of the same app"
