"""One transaction of the sample file: what it adds, and the room that it makes for it. Nothing of it counts before it
is on the disk."""

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.feedback import schema as sql
from flip_agent.feedback.accounts import Accounts
from flip_agent.feedback.form import (
    Array,
    Form,
    decode_form,
    decode_parts,
    encode_form,
    encode_parts,
    pack,
    parts_of,
    row_size,
    split,
)
from flip_agent.feedback.labels import label_array, label_part, label_rows
from flip_agent.feedback.messages import Feedback, FeedbackKept, SamplesKept
from flip_agent.feedback.prediction_log import Prediction
from flip_agent.feedback.retention import make_room

_GUESS = np.dtype([("index", "<i4"), ("score", "<f4")])
"""What is kept of each row of an answer with classes."""
_ROW = 96
"""Bytes that a row takes beside its contents, about."""


class Judgement(Struct, frozen=True):
    """For the guard."""

    model: str
    version: int
    correct: bool


class Bulk(Struct, frozen=True, kw_only=True):
    """Samples that came together, all of one form."""

    model: str
    name: str
    """Or empty."""
    form: Form
    inputs: list[bytes]
    labels: list[bytes]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.inputs)) + sum(map(len, self.labels)) + _ROW * len(self.inputs)


class _PredictionRow(NamedTuple):
    id: str
    version: int
    at: float
    rows: int
    size: int
    output: bytes
    parts: str | None
    inputs: bytes | None


class _Named(Struct, frozen=True):
    """A prediction as it is kept, and of which version."""

    number: int
    version_number: int
    model: str
    version: int
    labels: list[str]
    rows: int
    output: bytes
    parts: str | None
    inputs: bytes | None


class Change:
    def __init__(self, db: Connection, accounts: Accounts, at: float, max_bytes: int) -> None:
        self.db = db
        self.accounts = accounts
        self._max_bytes = max_bytes
        self.judged: list[Judgement] = []
        self._at = at

    def make_room(self, size: int) -> None:
        """For so many bytes more."""
        self.accounts = make_room(self.db, self.accounts, size, self._max_bytes)

    # ---- predictions ----

    def keep_predictions(self, predictions: Sequence[Prediction]) -> None:
        rows = [self._prediction_row(each) for each in predictions]
        self.db.executemany(sql.KEEP_PREDICTION, rows)
        self._count(predictions=len(rows), prediction_bytes=sum(row.size for row in rows))

    def _prediction_row(self, given: Prediction) -> _PredictionRow:
        manifest = given.version.manifest
        output = _guesses(given.output, manifest.labels)
        parts, inputs = None, None
        if given.inputs is not None:
            shape = parts_of([spec.name for spec in manifest.inputs], given.inputs)
            parts, inputs = encode_parts(shape), pack(shape, given.inputs)
        size = len(output) + len(inputs or b"") + _ROW
        number = self._version(given)
        return _PredictionRow(given.id, number, given.at, given.output.shape[0], size, output, parts, inputs)

    def _version(self, given: Prediction) -> int:
        version, manifest = given.version, given.version.manifest
        names = msgspec.json.encode(manifest.labels)
        self.db.execute(sql.KEEP_VERSION, (version.sha256, manifest.model, manifest.version, names))
        return self.db.execute(sql.VERSION_NUMBER, (version.sha256,)).fetchone()[0]

    # ---- feedback ----

    def judge(self, given: Sequence[Feedback]) -> FeedbackKept:
        """Of two about one prediction the later one counts. Raises `Refusal` before anything is written."""
        found = [(each, self._named(id)) for id, each in {each.id: each for each in given}.items()]
        truths = [
            (named, label_array(label_rows(each.label, named.rows), named.labels))
            for each, named in found
            if named is not None
        ]
        self.make_room(sum(len(named.inputs or b"") + _ROW for named, _ in truths))  # samples are copies
        samples = sum(self._judge_one(named, truth) for named, truth in truths)
        unknown = [each.id for each, named in found if named is None]
        return FeedbackKept(accepted=len(truths), samples=samples, unknown=unknown)

    def _named(self, id: str) -> _Named | None:
        row = self.db.execute(sql.NAMED, (id,)).fetchone() if id else None
        if row is None:
            return None
        number, version_number, model, version, labels, *rest = row
        return _Named(number, version_number, model, version, msgspec.json.decode(labels, type=list[str]), *rest)

    def _judge_one(self, named: _Named, truth: Array) -> int:
        """How many samples it gave."""
        guesses = np.frombuffer(named.output, _GUESS)["index"] if named.output else None
        correct = [None] * named.rows if guesses is None else (guesses == truth).tolist()
        first = not self.db.execute(sql.FEEDBACK_GIVEN, (named.number,)).fetchone()[0]
        labels = [row.tobytes() for row in truth]
        rows = [
            (named.number, place, named.version_number, self._at, label, right)
            for place, (label, right) in enumerate(zip(labels, correct, strict=True))
        ]
        self.db.executemany(sql.KEEP_FEEDBACK, rows)
        if first:
            self._count(feedback=1)
            self.judged += [Judgement(named.model, named.version, right) for right in correct if right is not None]
        return self._sample_of(named, truth, labels)

    def _sample_of(self, named: _Named, truth: Array, labels: list[bytes]) -> int:
        if named.parts is None or named.inputs is None:
            return self._relabel(named.number, truth, labels)
        parts = decode_parts(named.parts)
        form = encode_form(Form(parts, label_part(truth)))
        rows = split(named.inputs, row_size(parts))
        self._insert(named.model, form, zip(rows, labels, strict=True), of=named.number)
        self.db.execute(sql.DROP_INPUTS, (len(named.inputs), named.number))
        self._count(prediction_bytes=-len(named.inputs))
        return len(rows)

    def _relabel(self, number: int, truth: Array, labels: list[bytes]) -> int:
        """The samples that earlier feedback has made of it."""
        made = self.db.execute(sql.MADE_OF, (number,)).fetchall()
        for (sample, form, inputs), label in zip(made, labels, strict=False):
            renewed = encode_form(Form(decode_form(form).inputs, label_part(truth)))
            crc = checksum(renewed, label, inputs)
            self.db.execute(sql.RELABEL, (label, renewed, crc, self._at, sample))
        return len(made)

    # ---- samples ----

    def add(self, bulk: Bulk) -> SamplesKept:
        known = self.db.execute(sql.KNOWN_BATCH, (bulk.name,)).fetchone() if bulk.name else None
        if known is not None:
            return SamplesKept(samples=known[0], repeated=True)
        self._insert(bulk.model, encode_form(bulk.form), zip(bulk.inputs, bulk.labels, strict=True))
        if bulk.name:
            self.db.execute(sql.KEEP_BATCH, (bulk.name, len(bulk.inputs)))
            self.db.execute(sql.TRIM_BATCHES, (sql.BATCHES,))
        return SamplesKept(samples=len(bulk.inputs), repeated=False)

    def drop_damaged(self, numbers: Sequence[tuple[int, int]]) -> None:
        """Numbers of samples, and their sizes."""
        self.db.executemany(sql.DROP_SAMPLE, [(number,) for number, _ in numbers])
        self._count(samples=-len(numbers), sample_bytes=-sum(size for _, size in numbers))
        lost = replace(self.accounts.lost, samples_damaged=self.accounts.lost.samples_damaged + len(numbers))
        self.accounts = replace(self.accounts, lost=lost)

    def _insert(self, model: str, form: str, rows: Iterator[tuple[bytes, bytes]], of: int | None = None) -> None:
        ready = [
            (
                *(model, form, self._at, checksum(form, label, inputs), len(inputs) + len(label) + len(form) + _ROW),
                *(of, None if of is None else place, label, inputs),
            )
            for place, (inputs, label) in enumerate(rows)
        ]
        self.db.executemany(sql.KEEP_SAMPLE, ready)
        self._count(samples=len(ready), sample_bytes=sum(row[4] for row in ready))

    def _count(self, **more: int) -> None:
        self.accounts = replace(
            self.accounts, **{name: max(0, getattr(self.accounts, name) + n) for name, n in more.items()}
        )


def checksum(form: str, label: bytes, inputs: bytes) -> int:
    return crc32(inputs, crc32(label, crc32(form.encode())))


def _guesses(output: Array, names: list[str]) -> bytes:
    """The highest class of each row; nothing where the outputs are no scores of classes."""
    if not names or output.ndim != 2 or output.shape[1] != len(names):
        return b""
    guesses = np.empty(output.shape[0], _GUESS)
    guesses["index"] = output.argmax(axis=1)
    guesses["score"] = output.max(axis=1)
    return guesses.tobytes()
