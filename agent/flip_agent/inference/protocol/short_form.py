"""`POST /predict`: inference for people with curl. Rows in, rows and names of classes out."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.json_tensors import decode_json, row_array
from flip_agent.inference.tensors import Array
from flip_wire.models import Manifest, TensorSpec


class PredictRequest(Struct, frozen=True, kw_only=True):
    """`{"inputs": [[0.1, 0.2, ...], ...]}`: a list of rows, each as nested as the model's input, or flat."""

    inputs: Raw
    """A model with several inputs takes an object: a list of rows by the input's name."""


class PredictAnswer(Struct, frozen=True, kw_only=True):
    id: str
    """By which feedback is given to it: `POST /v1/feedback`."""
    model: str
    version: int
    outputs: list[Any] | dict[str, list[Any]]
    """A list of rows; by name where the model has several outputs."""
    labels: list[str]
    """Of the highest output in each row; empty when the model has no labels."""


_request = msgspec.json.Decoder(PredictRequest)
_by_name = msgspec.json.Decoder(dict[str, Raw])


def decode_short(body: bytes | bytearray) -> PredictRequest:
    """Raises `Refusal`."""
    return decode_json(_request, body, "the body")


def short_arrays(request: PredictRequest, specs: Sequence[TensorSpec]) -> list[Array]:
    """In the order of the model's inputs. Raises `Refusal`."""
    if len(specs) == 1 and not bytes(request.inputs).lstrip().startswith(b"{"):
        return [row_array(specs[0], request.inputs)]
    given = decode_json(_by_name, request.inputs, "'inputs'")
    names = [spec.name for spec in specs]
    if sorted(given) != sorted(names):
        raise Refusal(f"'inputs' takes an object with {names}")
    return [row_array(spec, given[spec.name]) for spec in specs]


def encode_short(id: str, manifest: Manifest, outputs: Sequence[Array]) -> bytes:
    """`outputs` are in the order of the manifest's."""
    rows = {spec.name: values.tolist() for spec, values in zip(manifest.outputs, outputs, strict=True)}
    answer = PredictAnswer(
        id=id,
        model=manifest.model,
        version=manifest.version,
        outputs=rows if len(rows) > 1 else next(iter(rows.values())),
        labels=_labels(manifest.labels, outputs[0]),
    )
    return msgspec.json.encode(answer)


def _labels(names: list[str], scores: Array) -> list[str]:
    if not names or scores.ndim != 2 or scores.shape[1] != len(names):
        return []
    return [names[best] for best in np.argmax(scores, axis=1).tolist()]
