"""The truth as people tell it, made into an array: one label for each row, all of one form."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from flip_agent.feedback.form import INDEX, Array, Part, value
from flip_agent.feedback.messages import Label, RowLabel
from flip_agent.inference.problems import Refusal


def label_array(given: Sequence[RowLabel], names: list[str]) -> Array:
    """Indices into `names`; of a model without classes, numbers. Raises `Refusal`."""
    if names:
        return np.array([_index(label, names) for label in given], INDEX.dtype)
    if any(isinstance(label, str) for label in given):
        raise Refusal("the model has no names of classes", hint="a label of it is a number, or a list of numbers")
    try:
        values = np.array(given, "float64")
    except (ValueError, OverflowError) as error:
        raise Refusal("the labels are not numbers, or differ in their shapes") from error
    if values.ndim > 2 or not np.isfinite(values).all():
        raise Refusal("a label is a number, or a list of numbers")
    return values


def label_rows(label: Label, rows: int) -> Sequence[RowLabel]:
    """Of a prediction of so many rows. Raises `Refusal`."""
    if rows == 1 and not (isinstance(label, list) and len(label) == 1):
        return [cast(RowLabel, label)]
    if not isinstance(label, list) or len(label) != rows:
        raise Refusal(f"the prediction has {rows} rows", hint="'label' takes a list with one for each")
    return label


def label_part(labels: Array) -> Part:
    return INDEX if labels.dtype == INDEX.dtype else value(labels.shape[1:])


def _index(label: RowLabel, names: list[str]) -> int:
    if isinstance(label, str) and label in names:
        return names.index(label)
    if isinstance(label, int) and 0 <= label < len(names):
        return label
    raise Refusal(f"no label {_shown(label)}", hint=f"the labels are {_some(names)}, or 0 to {len(names) - 1}")


def _shown(label: RowLabel) -> str:
    return repr(label)[:100]


def _some(names: list[str]) -> str:
    return str(names) if len(names) <= 20 else f"{names[:20]} and {len(names) - 20} more"
