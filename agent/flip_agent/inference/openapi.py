"""`GET /docs/openapi.json`: what Litestar knows of its routes, and the calls whose bodies it does not read."""

from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin
from msgspec import Struct

from flip_agent.feedback.messages import Feedback, FeedbackKept, SamplesGiven, SamplesKept
from flip_agent.inference.oip import InferRequest, InferResponse
from flip_agent.inference.short_form import PredictAnswer, PredictRequest
from flip_wire.problem import Problem

_BODIES: dict[str, tuple[type[Struct], type[Struct]]] = {
    "/v2/models/{model}/infer": (InferRequest, InferResponse),
    "/v2/models/{model}/versions/{version}/infer": (InferRequest, InferResponse),
    "/predict": (PredictRequest, PredictAnswer),
    "/predict/{model}": (PredictRequest, PredictAnswer),
    "/v1/feedback": (Feedback, FeedbackKept),
    "/v1/samples": (SamplesGiven, SamplesKept),
}
"""Calls whose bodies Litestar does not read, most of which it does not even see."""


class Document(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        structs = [*{struct for pair in _BODIES.values() for struct in pair}, Problem]
        _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
        paths = {path: {"post": _operation(path, *structs)} for path, structs in _BODIES.items()}
        known: dict[str, Any] = openapi_schema["components"]["schemas"]
        document = openapi_schema | {
            "paths": openapi_schema["paths"] | paths,
            "components": {"schemas": schemas | known},
        }
        return self.render_json(request, document)


def _operation(path: str, asked: type[Struct], answered: type[Struct]) -> dict[str, Any]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return {
        "operationId": "".join(part.strip("{}").title() for part in path.split("/")),
        "summary": asked.__doc__,
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "requestBody": {"required": True, "content": _content("application/json", asked)},
        "responses": {
            "200": {"description": "Answered", "content": _content("application/json", answered)},
            "default": {"description": "Refused", "content": _content("application/problem+json", Problem)},
        },
    }


def _content(media_type: str, struct: type[Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}
