"""Files and links are replaced in one step."""

from pathlib import Path

from flip_runtime.atomic import replace_link, write_file


def test_a_file_is_replaced_whole_with_its_mode(folder: Path) -> None:
    path = folder / "secret"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in folder.iterdir()] == ["secret"]


def test_a_link_is_moved_to_its_new_target(folder: Path) -> None:
    link = folder / "active"
    replace_link(link, "a")
    replace_link(link, "b")
    assert str(link.readlink()) == "b"
