"""Samples as they are given out: by the page to apps, all at once to who judges a version."""

from urllib.parse import quote, urlencode

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.feedback.form import INDEX, decode_form, unpack
from flip_agent.feedback.judgement import Labelled
from flip_agent.feedback.messages import SamplesPage
from flip_agent.feedback.sample_file import Sample, SampleFile, Span


class Asked(Struct, frozen=True, kw_only=True):
    model: str
    newest: int | None = None
    max_age: float | None = None
    """Seconds."""
    rest: Span | None = None
    """From the page before, in the place of `newest` and `max_age`."""


def page(file: SampleFile, asked: Asked) -> SamplesPage:
    span = asked.rest or file.span(asked.model, asked.newest, asked.max_age)
    if span is None:
        return SamplesPage()
    samples, more = file.read(span)
    return SamplesPage(
        form=span.form,
        inputs=b"".join(each.inputs for each in samples),
        labels=b"".join(each.label for each in samples),
        at=[each.at for each in samples],
        from_feedback=[each.from_feedback for each in samples],
        next=_path(span, samples[-1].number if samples else span.after) if more else "",
    )


def labelled(file: SampleFile, model: str, limit: int) -> Labelled:
    span = file.span(model, limit, None)
    if span is None or (form := decode_form(span.form)).label != INDEX:
        return nothing_labelled()
    samples = _all(file, span)
    labels = np.frombuffer(b"".join(each.label for each in samples), np.int64)
    return Labelled(inputs=unpack(form.inputs, b"".join(each.inputs for each in samples)), labels=labels)


def nothing_labelled() -> Labelled:
    return Labelled(inputs={}, labels=np.empty(0, np.int64))


def _all(file: SampleFile, span: Span) -> list[Sample]:
    samples, more = file.read(span)
    while more:
        after = samples[-1].number if samples else span.after
        page, more = file.read(replace(span, after=after))
        samples += page
    return samples


def _path(span: Span, after: int) -> str:
    rest = {"form": span.form, "since": span.since, "after": after, "until": span.until}
    return f"/v1/samples/{quote(span.model, safe='')}?{urlencode(rest)}"
