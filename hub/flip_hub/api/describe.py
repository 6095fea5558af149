"""The API's description (OpenAPI): to what the handlers say, what holds for all calls is added here, once.

Every error that a call may answer, examples, tags and pages, idempotency keys, and which permission a call needs.
"""

from copy import deepcopy
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from msgspec import Struct

from flip_hub.api.answer import FIELDS_JSON
from flip_hub.api.examples import Schema, example_of
from flip_hub.api.idempotency import HEADER
from flip_hub.auth.guards import Needs
from flip_hub.problem import PROBLEM_JSON, title_of
from flip_wire.problem import Problem

TAKES = "takes"
"""In a handler's `opt`: the media type of a body that it reads by itself."""
REFUSES = "refuses"
"""In a handler's `opt`: statuses of errors that it answers and other calls do not."""
_FILE = "application/octet-stream"
_CHANGES = ("post", "put", "patch", "delete")
_WHY = {
    400: "The request is not understood.",
    401: "Nobody is known by the token, or there is none.",
    403: "Who calls is known, and may not.",
    404: "What the path or the body names does not exist.",
    409: "What is there already stands against it.",
    412: "The hub speaks another version of the protocol.",
    413: "What is sent, or announced, is too large.",
    415: "The body is of another media type than this call takes.",
    416: "The file has no such part.",
    422: "Understood, but its content is wrong.",
    423: "Somebody else is sending to it.",
    429: "Too many calls: `Retry-After` says when to go on.",
    460: "What came is not what was sent: its checksum is another.",
    503: "Something that this needs is away: `Retry-After` says when to ask again.",
}
_HEADERS = {
    "ETag": {"description": "Send it back as `If-None-Match`.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page, if there is one: `rel="next"` (RFC 8288).', "schema": {"type": "string"}},
}
_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A random text: sent again with the same key, the call happens once and is answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_RANGE = {
    "name": "Range",
    "in": "header",
    "required": False,
    "description": "`bytes=FROM-TO`: that part of the file alone (RFC 9110).",
    "schema": {"type": "string"},
}


class Call(Struct, frozen=True):
    """What the application knows of one operation, and the handlers' description does not say."""

    guarded: bool
    person: Needs | None
    takes: str
    refuses: tuple[int, ...]
    body: Any
    """The Struct that it takes as JSON."""


class DescribedJson(JsonRenderPlugin):
    """The description as it is answered."""

    def __init__(self) -> None:
        super().__init__()
        self._document: Schema | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        self._document = self._document or described(request.app)
        return msgspec.json.encode(self._document)


def described(app: Litestar) -> Schema:
    document = _without_ambiguity(deepcopy(app.openapi_schema.to_schema()))
    components = document["components"]
    schemas = components["schemas"]
    problem = msgspec.json.schema_components((Problem,), ref_template="#/components/schemas/{name}")[1]
    schemas |= problem
    components["responses"] = {_name(status): _error(status, schemas) for status in _WHY}
    calls = _calls(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, path, calls[method, operation["operationId"]], schemas)
    for closed in filter(_is_closed, (call.body for call in calls.values())):
        schemas[closed.__name__]["additionalProperties"] = False
    for schema in schemas.values():
        if schema.get("type") == "object":
            schema["examples"] = [example_of(schema, schemas)]
    return document


def _is_closed(body: Any) -> bool:
    """Whether unknown fields are refused."""
    return isinstance(body, type) and issubclass(body, Struct) and body.__struct_config__.forbid_unknown_fields


def _calls(app: Litestar) -> dict[tuple[str, str], Call]:
    calls: dict[tuple[str, str], Call] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema():
                guards = handler.resolve_guards()
                person = next((each for each in map(_bare, guards) if isinstance(each, Needs)), None)
                data = handler.parsed_data_field
                body = None if data is None else data.annotation
                call = Call(bool(guards), person, handler.opt.get(TAKES, ""), handler.opt.get(REFUSES, ()), body)
                for method in handler.http_methods:
                    calls[method.lower(), _operation_id(handler, route, method)] = call
    return calls


def _bare(guard: Any) -> Any:
    return getattr(guard, "func", guard)


def _operation_id(handler: HTTPRouteHandler, route: Any, method: Any) -> str:
    given = handler.operation_id
    if isinstance(given, str):
        return given
    creator = handler.app.openapi_config.operation_id_creator if handler.app.openapi_config else None
    assert creator is not None
    return creator(handler, method, route.path_components)


def _complete(operation: Schema, method: str, path: str, call: Call, schemas: dict[str, Schema]) -> None:
    parameters: list[Schema] = operation.setdefault("parameters", [])
    paged = any(each["name"] == "cursor" for each in parameters)
    if call.takes:
        operation["requestBody"] = {"required": True, "content": {call.takes: {"schema": {}}}}
    if call.person is not None:
        if call.person.permission is not None:
            operation["x-permission"] = call.person.permission.value
        if method == "post":
            parameters.append(deepcopy(_KEY))
    if not call.guarded:
        operation["security"] = []
    responses: Schema = operation["responses"]
    if _FILE in responses.get("200", {}).get("content", {}):
        parameters.append(deepcopy(_RANGE))
        responses["206"] = responses["200"] | {"description": "The part of it that `Range` asks for."}
    for status in _errors(method, path, call, operation):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
    _describe_success(responses, method, paged, schemas)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "$ref" in content.get("schema", {}):
            content["example"] = example_of(content["schema"], schemas)
    operation["parameters"] = parameters


def _errors(method: str, path: str, call: Call, operation: Schema) -> list[int]:
    if not path.startswith("/api/v1/"):
        return []
    errors = [400, 429, 503, *call.refuses]
    if call.guarded:
        errors += [401, 403]
    if any(each["in"] == "path" for each in operation["parameters"]):
        errors.append(404)
    if "requestBody" in operation:
        errors += [404, 413, 415]
    if "206" in operation["responses"]:
        errors.append(416)
    if method in _CHANGES:
        errors += [401, 403, 409, 422]
    return sorted(set(errors))


def _describe_success(responses: Schema, method: str, paged: bool, schemas: dict[str, Schema]) -> None:
    for status, answer in list(responses.items()):
        content = answer.get("content", {}).get("application/json")
        if not status.startswith("2") or content is None:
            continue
        schema = content["schema"]
        content["example"] = example_of(schema, schemas)
        if method != "get":
            continue
        answer["headers"] = {name: _HEADERS[name] for name in (("ETag", "Link") if paged else ("ETag",))}
        responses.setdefault("304", {"description": "It has not changed since the `ETag` that was sent."})
        if paged:
            answer["content"][FIELDS_JSON] = {"schema": {"type": "array", "items": _partial(schema["items"], schemas)}}


def _partial(item: Schema, schemas: dict[str, Schema]) -> Schema:
    """Any of its fields."""
    whole = schemas[item["$ref"].rsplit("/", 1)[1]] if "$ref" in item else item
    return {"type": "object", "properties": whole.get("properties", {}), "additionalProperties": False}


def _error(status: int, schemas: dict[str, Schema]) -> Schema:
    problem = example_of(schemas["Problem"], schemas)
    said = {"status": status, "title": title_of(status), "detail": _WHY[status].rstrip("."), "hint": ""}
    example = problem | said
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _WHY[status], "content": {PROBLEM_JSON: {"schema": schema, "example": example}}}


def _name(status: int) -> str:
    return title_of(status).replace(" ", "")


def _without_ambiguity(part: Any) -> Any:
    """A whole number is a number, too, so that "one of" them would be neither; nothing in a query is null."""
    if isinstance(part, list):
        return [_without_ambiguity(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {("anyOf" if key == "oneOf" else key): _without_ambiguity(value) for key, value in part.items()}
    if made.get("in") in ("query", "header") and "anyOf" in made.get("schema", {}):
        schema = made["schema"]
        meant = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        made["schema"] = {**schema, **(meant[0] if len(meant) == 1 else {"anyOf": meant})}
    return made
