"""What programs of this device say to `/v1`, and what they are answered."""

from msgspec import Raw, Struct

from flip_agent.feedback.accounts import Lost

Number = int | float
RowLabel = Number | str | list[Number]
Label = Number | str | list[RowLabel]
"""Of a prediction, which may have several rows."""


class Feedback(Struct, frozen=True, kw_only=True):
    """`{"id": "...", "label": "seven"}`: the truth about a prediction; given again, it replaces the earlier one."""

    id: str
    """Of the prediction: given with it, or returned by `/predict`."""
    label: Label
    """Name of a class, or its index; of a model without classes a number or a list. A list of them where the
    prediction had several rows."""


class FeedbackKept(Struct, frozen=True, kw_only=True):
    """It is on the disk."""

    accepted: int
    """Predictions."""
    samples: int
    """Rows of them that are samples to train on now: those whose inputs were kept (`samples.log_inputs`)."""
    unknown: list[str]
    """Ids of no prediction that is kept."""


class SamplesGiven(Struct, frozen=True, kw_only=True):
    """`{"model": "digits", "inputs": [[0.1, ...], ...], "labels": ["seven", ...]}`"""

    model: str
    inputs: Raw
    """As `/predict` takes them: a list of rows, or an object with one for each input of the model."""
    labels: list[RowLabel]
    """One for each row, as in `Feedback`."""
    id: str = ""
    """Names these samples: sent again under the same name they are not kept twice."""


class SamplesKept(Struct, frozen=True, kw_only=True):
    """They are on the disk."""

    samples: int
    repeated: bool
    """They were there already."""


class ModelSamples(Struct, frozen=True, kw_only=True):
    model: str
    samples: int
    from_feedback: int


class SamplesStatus(Struct, frozen=True, kw_only=True):
    samples: int
    predictions: int
    """That are kept, so that feedback can be given to them."""
    feedback: int
    """Predictions that feedback was given to, ever."""
    file_bytes: int
    max_bytes: int
    models: list[ModelSamples]
    lost: Lost


class SamplesPage(Struct, frozen=True, kw_only=True):
    """Samples of one form, oldest first; msgpack."""

    form: str = ""
    """`form.Form` as JSON; empty when there is no sample."""
    inputs: bytes = b""
    labels: bytes = b""
    at: list[float] = []
    from_feedback: list[bool] = []
    next: str = ""
    """Path of the next page; empty on the last."""
