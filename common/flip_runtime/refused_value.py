"""What msgspec says of a value that it refuses, in words for people: pure."""

import re

_SAYINGS = (
    (r"Expected `?(?P<what>.*?)`?(?:, got .*)?", "it must be a {what}"),
    (r"Invalid enum value (?P<what>.*)", "{what} is none that there is"),
    (r"Object contains unknown field `(?P<what>.*)`", "there is no {what}"),
    (r"Object missing required field `(?P<what>.*)`", "it lacks {what}"),
)
_KINDS = (("int", "whole number"), ("float", "number"), ("str", "text"), ("bool", "true or false"))


def wanted(error: str) -> tuple[str, str]:
    """The field, empty for the whole, and what is wrong, of such as "Expected `int` >= 3 - at `$.least`"."""
    said, _, path = error.partition(" - at ")
    field = path.strip("`").removeprefix("$").removeprefix(".")
    for pattern, words in _SAYINGS:
        if found := re.fullmatch(pattern, said):
            what = found["what"].replace("`", "")
            for kind, word in _KINDS:
                what = re.sub(rf"^{kind}\b", word, what)
            return field, words.format(what=what)
    return field, said
