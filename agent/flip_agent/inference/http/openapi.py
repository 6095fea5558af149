"""`GET /docs`: what this server can be asked, for people and as an OpenAPI document; both are whole without a network.

Litestar knows its routes. What it does not see is added here: inference, which does not pass through it, and the bodies
that are decoded by hand because their Content-Type means nothing.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin
from msgspec import Struct

from flip_agent.feedback.messages import Feedback, SamplesGiven
from flip_agent.inference.problems import InferenceProblem
from flip_agent.inference.protocol.extensions import IndexRequest, RepositoryRequest
from flip_agent.inference.protocol.oip import InferRequest, InferResponse
from flip_agent.inference.protocol.short_form import PredictAnswer, PredictRequest
from flip_runtime.docs_page import DocsPage

_INFERENCE: dict[str, tuple[type[Struct], type[Struct]]] = {
    "/v2/models/{model}/infer": (InferRequest, InferResponse),
    "/v2/models/{model}/versions/{version}/infer": (InferRequest, InferResponse),
    "/predict": (PredictRequest, PredictAnswer),
    "/predict/{model}": (PredictRequest, PredictAnswer),
}
_BODIES: dict[str, tuple[type[Struct], bool]] = {
    "/v2/repository/index": (IndexRequest, False),
    "/v2/repository/models/{model}/load": (RepositoryRequest, False),
    "/v2/repository/models/{model}/unload": (RepositoryRequest, False),
    "/v1/feedback": (Feedback, True),
    "/v1/samples": (SamplesGiven, True),
}
"""Of POST routes that Litestar has, and whether they may not be left out."""

_INTRODUCTION = """
<p>The whole description: <a href="/docs/openapi.json">openapi.json</a>. It speaks the
<a href="https://github.com/open-inference/open-inference-protocol">Open Inference Protocol</a> with Triton's extensions
for binary tensors, model repository, model configuration and statistics, so that <code>tritonclient</code> can be used;
over gRPC it listens on the port 1000 above. Errors are problem details (RFC 9457) with a hint. Where a token is asked
for, send <code>Authorization: Bearer TOKEN</code>.</p>
<p>With plain JSON, one list for each row; the answer has an <code>id</code>, by which the truth can be told later:</p>
<pre>curl http://127.0.0.1:8082/predict -d '{"inputs": [[0.1, 0.2, 0.3]]}'
curl http://127.0.0.1:8082/v1/feedback -d '{"id": "...", "label": "seven"}'</pre>
"""


class Page(DocsPage):
    def __init__(self) -> None:
        super().__init__(_INTRODUCTION)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, _whole(openapi_schema))


class Document(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return self.render_json(request, _whole(openapi_schema))


def _whole(known: dict[str, Any]) -> dict[str, Any]:
    paths = {path: _with_problems(operations) for path, operations in known["paths"].items()}
    for path, (struct, required) in _BODIES.items():
        if path in paths:
            body = {"required": required, "content": _content("application/json", struct)}
            paths[path]["post"] = paths[path]["post"] | {"requestBody": body}
    paths |= {path: {"post": _operation(path, *structs)} for path, structs in _INFERENCE.items()}
    _, schemas = msgspec.json.schema_components([*_structs()], ref_template="#/components/schemas/{name}")
    return known | {"paths": paths, "components": {"schemas": schemas | known["components"]["schemas"]}}


def _structs() -> Iterator[type[Struct]]:
    yield InferenceProblem
    yield from {struct for pair in _INFERENCE.values() for struct in pair}
    yield from {struct for struct, _ in _BODIES.values()}


def _with_problems(operations: dict[str, Any]) -> dict[str, Any]:
    """Litestar describes errors as it would answer them itself."""
    return {method: operation | {"responses": _responses(operation)} for method, operation in operations.items()}


def _responses(operation: dict[str, Any]) -> dict[str, Any]:
    good = {status: response for status, response in operation["responses"].items() if status.startswith("2")}
    return good | {"default": _REFUSED}


def _operation(path: str, asked: type[Struct], answered: type[Struct]) -> dict[str, Any]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    binary = _BINARY if asked is InferRequest else {}
    headers = [_LENGTH] if binary else []
    return {
        "operationId": "".join(part.strip("{}").title() for part in path.split("/")),
        "summary": asked.__doc__,
        "parameters": [*in_path, *headers, _ENCODING],
        "requestBody": {"required": True, "content": _content("application/json", asked) | binary},
        "responses": {
            "200": {"description": "The outputs", "content": _content("application/json", answered) | binary},
            "default": _REFUSED,
        },
    }


def _content(media_type: str, struct: type[Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


_REFUSED = {"description": "Refused", "content": _content("application/problem+json", InferenceProblem)}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
"""JSON, and then tensors as bytes."""
_LENGTH = _header(
    "Inference-Header-Content-Length",
    {"type": "integer", "minimum": 0},
    "Bytes of the JSON, where tensors follow as bytes; 0: the body is the only input itself",
)
_ENCODING = _header("Content-Encoding", {"type": "string", "enum": ["gzip", "deflate"]}, "How the body is packed")
