"""What updates cost in each form, and what that costs in accuracy: both example apps, trained for real.

A form's bytes are those of the reply's arrays as Flower sends them, beside the same arrays as floats; the head, the
metrics and the other records of a reply are the same in every form, and not counted (what a whole reply costs is told
beside it). Accuracy is on samples that no device has, the mean over the seeds: a form and floats start alike.

Downloads: what a version's weights take as the difference from the version of the round before, of both apps and of a
model of 5 million weights that each move by a thousandth.
"""

import logging
import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from bench.one_process import Federation, Learned
from bench.progress import say
from bench.report import Verdict, at_most
from flip_agent.federation.mods.packed_update import PackedUpdate
from flip_wire.file_delta import BLOCK, block
from flip_wire.terms import UpdateForm

_FORMS = {
    "int8": (UpdateForm(codec="int8"), 0.26),
    "int4": (UpdateForm(codec="int4"), 0.14),
    "topk": (UpdateForm(codec="topk", share=0.1), 0.10),
}
"""With the share of the floats' bytes that each may take."""
_LOSS = 0.005
"""Of accuracy: half a point."""
_APPS = {"digits": (14, 10), "breast_cancer": (8, 20)}
"""Rounds, and seeds: the fewer samples are held back, the more. So many rounds that floats alone no longer differ from
one run to the next, as they do while digits is learned: the order of a sum decides then."""
_DEVICES = 4
_WALK = 5_000_000


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    torch.set_num_threads(1)
    verdicts: dict[str, Verdict] = {}
    for app, (rounds, seeds) in _APPS.items():
        verdicts |= _of_app(app, folder, rounds, 1 if quick else seeds)
    walk = np.random.default_rng(0).normal(size=_WALK).astype(np.float32)
    moved = walk * (1 + 0.001 * np.random.default_rng(1).normal(size=_WALK)).astype(np.float32)
    verdicts["walk_delta_bytes"] = at_most(0.65, _delta(walk.tobytes(), moved.tobytes()))
    return verdicts


def _of_app(app: str, folder: Path, rounds: int, seeds: int) -> dict[str, Verdict]:
    found: dict[str, list[Learned]] = {"float": [], **{name: [] for name in _FORMS}}
    for seed in range(seeds):
        federation = Federation(app, folder, devices=_DEVICES, seed=seed)
        found["float"].append(federation.learn(rounds))
        for name, (form, _) in _FORMS.items():
            found[name].append(federation.learn(rounds, [PackedUpdate(form)]))
        say(f"{app}, seed {seed}: " + ", ".join(f"{name} {each[-1].accuracy:.4f}" for name, each in found.items()))
    floats = found.pop("float")
    verdicts = {f"{app}_delta_bytes": at_most(0.85, statistics.fmean(map(_of_last_rounds, floats)))}
    for name, learned in found.items():
        update = _mean_of(learned, "update_bytes") / _mean_of(floats, "update_bytes")
        reply = _mean_of(learned, "reply_bytes") / _mean_of(floats, "reply_bytes")
        loss = _mean_of(floats, "accuracy") - _mean_of(learned, "accuracy")
        say(f"{app}, {name}: {update:.1%} of the update, {reply:.1%} of the whole reply, {loss * 100:+.2f} points lost")
        verdicts[f"{app}_{name}_bytes"] = at_most(_FORMS[name][1], update, _mean_of(floats, "update_bytes"))
        verdicts[f"{app}_{name}_loss"] = at_most(_LOSS, loss, _mean_of(floats, "accuracy"))
    return verdicts


def _of_last_rounds(learned: Learned) -> float:
    return _delta(*(save(weights) for weights in learned.last))


def _delta(before: bytes, after: bytes) -> float:
    """Its share of the file."""
    starts = range(0, len(after), BLOCK)
    pieces = (block(before[start : start + BLOCK], after[start : start + BLOCK], 4) for start in starts)
    share = sum(map(len, pieces)) / len(after)
    say(f"{len(after):,} bytes of weights: {share:.1%} as the difference from the version before")
    return share


def _mean_of(learned: list[Learned], name: str) -> float:
    return statistics.fmean(getattr(each, name) for each in learned)
