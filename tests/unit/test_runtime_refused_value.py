"""What msgspec says of a value is told in words, with the field's name."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from flip_runtime.refused_value import wanted


class Inner(Struct, forbid_unknown_fields=True):
    share: Annotated[float, Meta(le=1)] = 0.0
    kind: Literal["one", "two"] = "one"


class Whole(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=3)]
    name: str = ""
    parts: list[Inner] = []


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ('{"count": 2}', "count", "it must be a whole number >= 3"),
        ('{"count": "2"}', "count", "it must be a whole number"),
        ('{"count": 3, "name": 4}', "name", "it must be a text"),
        ('{"count": 3, "parts": [{"share": 2}]}', "parts[0].share", "it must be a number <= 1.0"),
        ('{"count": 3, "parts": [{"kind": "six"}]}', "parts[0].kind", "'six' is none that there is"),
        ('{"count": 3, "parts": [{"colour": 1}]}', "parts[0]", "there is no colour"),
        ("{}", "", "it lacks count"),
    ],
)
def test_a_refused_value_is_told_with_its_field(text: str, field: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(text, type=Whole)
    assert wanted(str(refused.value)) == (field, words)
