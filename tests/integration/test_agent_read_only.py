"""A disk that is mounted read-only is named as such."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flip_agent.state_folder import make_state_folder
from flip_runtime.errors import ConfigError


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """With a folder `there`. Fails where root may not mount one."""
    place = folder / "disk"
    (place / "there").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("name", ["there", "to be made"])
def test_a_state_folder_on_a_read_only_disk_is_named_with_the_reason(disk: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="Read-only file system") as refused:
        make_state_folder(disk / name)
    assert str(disk / name) in str(refused.value)
    assert "mount it writable" in refused.value.hint
