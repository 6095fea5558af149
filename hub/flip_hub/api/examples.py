"""Examples for the API's description, made from its schemas, so that none is missing and none is out of date.

What a field is called says what stands in it; `_TEXTS` and `_NUMBERS` name the values, once for the whole API.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TEXTS = {
    "id": "dev-3f9c2a71b5e4",
    "device_id": "dev-3f9c2a71b5e4",
    "node_id": "9222247651284241899",
    "run_id": "run-5d1c0e9a7b32",
    "flower_run_id": "9222247651284241900",
    "model": "digits",
    "name": "line-3-camera",
    "username": "ada",
    "password": "correct horse battery staple",
    "app": "digits 1.0.0",
    "version": "1.0.0",
    "publisher": "acme",
    "strategy": "FedAvg",
    "metric": "accuracy",
    "promote": "best",
    "reason": "too few devices answered in time",
    "detail": "no device 'dev-0'",
    "hint": "GET /api/v1/devices lists them",
    "title": "Not Found",
    "type": "about:blank",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "kind": "log",
    "phase": "train",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1aWxkIHNlcnZlcidzIHB1YmxpYyBrZXkhISEh",
    "key": "key-1f2e3d4c5b6a7988",
    "signatures": "c2lnbmF0dXJl",
    "signature": "c2lnbmF0dXJlIG9mIHRoZSBhcHA=",
    "agent_version": "0.1.0",
    "epoch": "0d6e4079e36703ebd37c00722f5891d2",
    "boot_id": "5e7b0a52-7d0c-4a53-9d3e-3c2c3a6b9f10",
    "dtype": "float32",
    "site": "hall-7",
    "added_by": "ada",
    "started_by": "ada",
    "message_id": _SHA,
    "fleet_address": "hub.example.org:9092",
    "export": "digits.export:servable",
    "ca": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
}
_IDS = {"Run": "run-5d1c0e9a7b32", "Rollout": "rollout-5d1c0e9a7b32", "AppKey": "key-1f2e3d4c5b6a7988"}
"""Where an `id` is no device's."""
_AT = 1_790_000_000.0
"""What stands in `..._at`, by the wall clock."""
_NUMBERS: dict[str, float] = {
    "size": 44_212,
    "limit": 100,
    "bits": 16,
    "lifetime": 3600.0,
    "count": 3,
    "status": 404,
    "shape": 10,
    "config": 3,
    **dict.fromkeys(("since", "last_seen"), _AT),
}
_DEEPEST = 8


def example_of(schema: Schema, schemas: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    """Of what is described by `schema`, as the field `name`."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, name, depth)
    for given in ("const", "default"):
        if schema.get(given) is not None:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _of_several(schema[several], schemas, name, depth)
    match _type(schema):
        case "object":
            return _object(schema, schemas, name, depth)
        case "array":
            return [] if depth >= _DEEPEST else [example_of(schema.get("items", {}), schemas, name, depth + 1)]
        case "string":
            return _text(schema, name)
        case "integer" | "number" as kind:
            return _number(schema, name, kind)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return {"text": "the round has begun"}


def _of_several(several: list[Schema], schemas: Mapping[str, Schema], name: str, depth: int) -> Any:
    meant = [each for each in several if each.get("type") != "null"]
    if name in _NUMBERS:
        meant.sort(key=lambda each: each.get("type") not in ("integer", "number"))
    return None if depth >= _DEEPEST or not meant else example_of(meant[0], schemas, name, depth + 1)


def _type(schema: Schema) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "")
    return next((each for each in kind if each != "null"), "null") if isinstance(kind, list) else kind


def _object(schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int) -> Schema:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if properties:
        needed = schema.get("required", [])
        made = {
            key: example_of(each, schemas, key, depth + 1)
            for key, each in properties.items()
            if depth < _DEEPEST or key in needed
        }
        return made | ({"id": _IDS[schema["title"]]} if schema.get("title") in _IDS else {})
    values = schema.get("additionalProperties")
    return {_KEYS.get(name, "accuracy"): example_of(values, schemas, name, depth + 1)} if values else {}


_KEYS = {
    "config": "num-server-rounds",
    "signatures": _TEXTS["key"],
    "app_keys": _TEXTS["key"],
    "model_keys": _TEXTS["key"],
    "missing": "mongo",
}
"""What stands for the keys of an object that may have any."""


def _text(schema: Schema, name: str) -> str:
    if "sha256" in name or name.endswith("_hash") or name in ("manifest", "fingerprint"):
        return _SHA
    text = _TEXTS.get(name, name.replace("_", " ") or "text")
    return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")


def _number(schema: Schema, name: str, kind: str) -> float:
    number = _AT if name.endswith("_at") else _NUMBERS.get(name, 1 if kind == "integer" else 0.5)
    number = max(number, schema.get("minimum", number))
    number = min(number, schema.get("maximum", number))
    return int(number) if kind == "integer" else number
