"""What MongoDB is told about a document follows from the Struct that is written."""

from enum import StrEnum

import pytest
from msgspec import Raw, Struct

from flip_hub.registry.shape import fields, optional, shape


class Colour(StrEnum):
    RED = "red"


class Inner(Struct):
    x: float


class Outer(Struct):
    id: str
    count: int
    note: str | None
    colour: Colour
    inner: Inner | None
    many: list[Inner]
    named: dict[str, int | str]
    body: Raw = Raw(b"{}")
    lucky: bool = False


def test_a_field_without_a_default_is_required_unless_none_is_a_value_of_it() -> None:
    assert shape(Outer)["required"] == ["colour", "count", "id", "many", "named"]


def test_types_are_those_that_the_driver_writes() -> None:
    properties = shape(Outer)["properties"]
    assert properties["count"] == {"bsonType": ["int", "long"]}
    assert properties["note"] == {"bsonType": ["string", "null"]}
    assert properties["colour"] == {"enum": ["red"]}
    assert properties["lucky"] == {"bsonType": ["bool"]}
    assert properties["body"] == {}
    inner = {"bsonType": "object", "required": ["x"], "properties": {"x": {"bsonType": ["double", "int", "long"]}}}
    assert properties["many"] == {"bsonType": ["array"], "items": inner}
    assert properties["inner"] == {"anyOf": [{"bsonType": ["null"]}, inner]} or properties["inner"] == {
        "anyOf": [inner, {"bsonType": ["null"]}]
    }
    number_or_text = {"bsonType": ["int", "long", "string"]}
    assert properties["named"] == {"bsonType": ["object"], "additionalProperties": number_or_text}


def test_what_lies_deeper_than_is_looked_is_an_object_or_a_list() -> None:
    properties = shape(Outer, depth=1)["properties"]
    assert properties["many"] == {"bsonType": ["array"]}
    assert set(properties["inner"]["bsonType"]) == {"object", "null"}


def test_the_key_is_kept_as_id_and_other_fields_may_stand_beside() -> None:
    schema = optional(shape(Outer, key="id", at="date", gone="int"), "gone")
    assert "id" not in schema["properties"]
    assert schema["properties"]["_id"] == {"bsonType": ["string"]}
    assert schema["properties"]["at"] == {"bsonType": ["date"]}
    assert "at" in schema["required"]
    assert "gone" not in schema["required"]


def test_a_document_without_a_struct_names_its_fields() -> None:
    assert fields(_id="string", body="binary") == {
        "bsonType": "object",
        "required": ["_id", "body"],
        "properties": {"_id": {"bsonType": ["string"]}, "body": {"bsonType": ["binData"]}},
    }


def test_a_struct_that_no_document_can_hold_is_refused_when_it_is_declared() -> None:
    class Strange(Struct):
        value: complex

    with pytest.raises(TypeError, match="cannot hold"):
        shape(Strange)


def test_a_struct_whose_fields_all_have_defaults_requires_none_of_them() -> None:
    class Easy(Struct, frozen=True):
        x: int = 0

    class Holder(Struct):
        easy: Easy = Easy()

    assert "required" not in shape(Holder)["properties"]["easy"]
