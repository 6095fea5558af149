"""`/v1`: the truth about predictions, samples to train on, and how many there are.

Samples are given out by `reading` alone, which `serve` offers on its Unix socket and nowhere else.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from flip_agent.feedback.change import Bulk
from flip_agent.feedback.form import Form, pack, parts_of, row_size, split
from flip_agent.feedback.labels import label_array, label_part
from flip_agent.feedback.messages import Feedback, FeedbackKept, SamplesGiven, SamplesKept, SamplesPage, SamplesStatus
from flip_agent.feedback.page import Asked
from flip_agent.feedback.sample_file import Span
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.engine.engine import ClientGone
from flip_agent.inference.http.request_body import Bodies
from flip_agent.inference.problems import Refusal, TooLarge, TooSlow, Unknown
from flip_agent.inference.protocol.json_tensors import decode_json
from flip_agent.inference.protocol.short_form import PredictRequest, short_arrays
from flip_wire.models import Manifest

MOST = 10_000
"""Samples, or predictions that feedback is given to, in one call."""
_LONGEST_NAME = 128
_MOST_EVER = 2**62
"""Samples; no file numbers as many."""

ManifestOf = Callable[[str], Manifest]
"""Of the active version of a model by its name. Raises `Refusal`."""

_feedback = msgspec.json.Decoder(Feedback | list[Feedback])
_samples = msgspec.json.Decoder(SamplesGiven)
_page = msgspec.msgpack.Encoder()


def writing(store: SampleStore, manifest_of: ManifestOf, max_body: int) -> list[HTTPRouteHandler]:
    bodies = Bodies(max_body)

    @post("/v1/feedback", status_code=200, request_max_body_size=None)
    async def feedback(request: Request[Any, Any, Any]) -> FeedbackKept:
        """The truth about one prediction, or about several (a list). It is on the disk when this is answered."""
        given = decode_json(_feedback, await _whole(bodies, request), "the body")
        several = given if isinstance(given, list) else [given]
        _check_number(len(several))
        kept = await store.give_feedback(several)
        if kept.unknown and not kept.accepted:
            raise Unknown(
                f"no prediction {', '.join(repr(id[:100]) for id in kept.unknown[:10])} is kept",
                hint="give predictions an id; at most samples.predictions a second are kept, for samples.max_age",
            )
        return kept

    @post("/v1/samples", status_code=200, request_max_body_size=None)
    async def samples(request: Request[Any, Any, Any]) -> SamplesKept:
        """Labelled samples for this device to train on. They are on the disk when this is answered."""
        given = decode_json(_samples, await _whole(bodies, request), "the body")
        bulk = await asyncio.to_thread(bulk_of, given, manifest_of(given.model))
        return await store.add(bulk)

    @get("/v1/samples/status")
    async def status() -> SamplesStatus:
        """How many samples and predictions are kept, and what was let go."""
        return await store.status()

    return [feedback, samples, status]


def reading(store: SampleStore) -> list[HTTPRouteHandler]:
    @get("/v1/samples/{model:str}")
    async def samples_of(
        model: FromPath[str],
        newest: Annotated[int | None, QueryParameter(ge=1, le=_MOST_EVER)] = None,
        max_age: Annotated[float | None, QueryParameter(ge=0)] = None,
        form: FromQuery[str | None] = None,
        since: FromQuery[float] = 0,
        after: Annotated[int, QueryParameter(ge=0, le=_MOST_EVER)] = 0,
        until: Annotated[int, QueryParameter(ge=0, le=_MOST_EVER)] = 0,
    ) -> Response[bytes]:
        rest = None if form is None else Span(model=model, form=form, since=since, after=after, until=until)
        page: SamplesPage = await store.page(Asked(model=model, newest=newest, max_age=max_age, rest=rest))
        return Response(_page.encode(page), media_type="application/vnd.msgpack")

    return [samples_of]


def bulk_of(given: SamplesGiven, manifest: Manifest) -> Bulk:
    """Raises `Refusal`."""
    if len(given.id) > _LONGEST_NAME:
        raise Refusal(f"the id has more than {_LONGEST_NAME} characters")
    inputs = short_arrays(PredictRequest(inputs=given.inputs), manifest.inputs)
    labels = label_array(given.labels, manifest.labels)
    counts = {len(labels), *(len(values) for values in inputs)}
    if len(counts) > 1:
        raise Refusal(f"there are {len(labels)} labels for {len(inputs[0])} rows")
    _check_number(len(labels))
    parts = parts_of([spec.name for spec in manifest.inputs], inputs)
    label = label_part(labels)
    return Bulk(
        model=given.model,
        name=given.id,
        form=Form(parts, label),
        inputs=split(pack(parts, inputs), row_size(parts)),
        labels=split(labels.tobytes(), row_size([label])),
    )


async def _whole(bodies: Bodies, request: Request[Any, Any, Any]) -> bytes | bytearray:
    """Not by `Request.body`: it takes a client that leaves for a bug of ours. Raises `Refusal`."""
    try:
        return await bodies.read(dict(request.scope["headers"]), request.receive)
    except ClientGone as error:
        raise TooSlow("the client has left before its body was whole") from error


def _check_number(count: int) -> None:
    if count > MOST:
        raise TooLarge(f"{count} in one call, at most {MOST} are taken", hint="send them in parts")
