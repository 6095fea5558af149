"""Which BSON types a document may hold, derived from the Struct that a store writes.

A field whose type is wrong is refused by MongoDB itself, whoever writes it. A field that nobody has declared is not:
of two hubs, one may be newer. A field is required when its Struct has no default for it and None is no value of it.
"""

from typing import Any, Literal, get_args

from msgspec import Struct, inspect

Schema = dict[str, Any]
"""A JSON schema in MongoDB's dialect."""
Bson = Literal["string", "date", "number", "int", "binary", "bool"]
"""What a field beside those of the Struct may be."""

_INTEGER = ("int", "long")
_NUMBER = ("double", *_INTEGER)
_NAMES: dict[Bson, tuple[str, ...]] = {
    "string": ("string",),
    "date": ("date",),
    "number": _NUMBER,
    "int": _INTEGER,
    "binary": ("binData",),
    "bool": ("bool",),
}
_SCALARS: dict[type[inspect.Type], tuple[str, ...]] = {
    inspect.StrType: ("string",),
    inspect.IntType: _INTEGER,
    inspect.FloatType: _NUMBER,
    inspect.BoolType: ("bool",),
    inspect.NoneType: ("null",),
    inspect.BytesType: ("binData",),
    inspect.DateTimeType: ("date",),
}
assert set(_NAMES) == set(get_args(Bson))


def shape(kind: type[Struct], *, key: str = "", depth: int = 8, **beside: Bson) -> Schema:
    """Of a document that holds the fields of `kind`, and those `beside` them.

    The field `key` is kept as `_id`. Structs, lists and dicts deeper than `depth` are not looked into.
    """
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    schema = _struct(info, depth)
    if key:
        schema["properties"]["_id"] = schema["properties"].pop(key)
        schema["required"] = [name for name in schema["required"] if name != key]
    extra = fields(**beside)
    return {
        **schema,
        "required": sorted({*schema["required"], *extra["required"]}),
        "properties": {**schema["properties"], **extra["properties"]},
    }


def fields(**types: Bson) -> Schema:
    """Of a document with these fields, all of them required."""
    return {
        "bsonType": "object",
        "required": sorted(types),
        "properties": {name: {"bsonType": list(_NAMES[kind])} for name, kind in types.items()},
    }


def optional(schema: Schema, *names: str) -> Schema:
    """The same, where these fields may be missing."""
    return {**schema, "required": [name for name in schema["required"] if name not in names]}


def _struct(info: inspect.StructType, depth: int) -> Schema:
    return {
        "bsonType": "object",
        "required": sorted(field.encode_name for field in info.fields if field.required and not _nullable(field.type)),
        "properties": {field.encode_name: _schema(field.type, depth - 1) for field in info.fields},
    }


def _inner(schema: Schema) -> Schema:
    """MongoDB takes no empty list of required fields."""
    return schema if schema["required"] else {key: value for key, value in schema.items() if key != "required"}


def _nullable(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _schema(kind: inspect.Type, depth: int) -> Schema:
    """Raises `TypeError` for what no document of ours holds."""
    match kind:
        case inspect.Metadata():
            return _schema(kind.type, depth)
        case inspect.AnyType() | inspect.RawType():
            return {}
        case inspect.EnumType() | inspect.LiteralType():
            values = [each.value for each in kind.cls] if isinstance(kind, inspect.EnumType) else list(kind.values)
            return {"enum": values}
        case inspect.UnionType():
            return _union([_schema(each, depth) for each in kind.types])
        case inspect.ListType() | inspect.VarTupleType():
            return {"bsonType": ["array"]} if depth < 1 else _array(_schema(kind.item_type, depth - 1))
        case inspect.DictType():
            return {"bsonType": ["object"]} if depth < 1 else _object(_schema(kind.value_type, depth - 1))
        case inspect.StructType():
            return {"bsonType": "object"} if depth < 1 else _inner(_struct(kind, depth))
        case _ if type(kind) in _SCALARS:
            return {"bsonType": list(_SCALARS[type(kind)])}
        case _:
            raise TypeError(f"the registry cannot hold {kind!r}")


def _array(items: Schema) -> Schema:
    return {"bsonType": ["array"], "items": items}


def _object(values: Schema) -> Schema:
    return {"bsonType": ["object"], "additionalProperties": values}


def _union(parts: list[Schema]) -> Schema:
    """Scalars are one list of types: what MongoDB checks fastest."""
    if any(not part for part in parts):
        return {}
    if all(set(part) == {"bsonType"} for part in parts):
        names = [name for part in parts for name in _listed(part["bsonType"])]
        return {"bsonType": list(dict.fromkeys(names))}
    return {"anyOf": parts}


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
