"""Which bytes a Range header asks for."""

import pytest

from flip_hub.artifacts.ranges import Part, Unsatisfiable, part_of


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", Part(0, 100)),
        ("bytes=99-", Part(99, 100)),
        ("bytes=10-19", Part(10, 20)),
        ("bytes=90-1000", Part(90, 100)),
        ("bytes=-10", Part(90, 100)),
        ("bytes=-1000", Part(0, 100)),
    ],
)
def test_a_range_is_a_part(header: str, part: Part) -> None:
    assert part_of(header, 100) == part


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=1-2", "bytes=x-"])
def test_anything_else_is_the_whole_file(header: str | None) -> None:
    assert part_of(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        part_of(header, 100)
