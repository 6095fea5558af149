"""What was condemned stays so: through restarts, damage and full disks, until `run` keeps it itself."""

from pathlib import Path

import pytest

from flip_agent.inference.guard import verdicts
from flip_agent.inference.guard.verdicts import Verdict, Verdicts
from flip_wire.models import Sha256

BAD, WORSE = Sha256("a" * 64), Sha256("b" * 64)

pytestmark = pytest.mark.asyncio


def verdict(manifest: Sha256) -> Verdict:
    return Verdict(model="digits", version=2, manifest=manifest, to_version=1, reason="it is wrong", at=1.0)


async def test_a_verdict_outlives_the_process_until_run_keeps_it(folder: Path) -> None:
    first = Verdicts(folder / "serve")
    await first.condemn(verdict(BAD))
    await first.condemn(verdict(WORSE))
    again = Verdicts(folder / "serve")
    assert again.pending == [verdict(BAD), verdict(WORSE)]
    assert again.condemned(BAD) == "it is wrong"
    await again.kept(BAD)
    assert Verdicts(folder / "serve").pending == [verdict(WORSE)]
    assert again.condemned(BAD) == ""


async def test_only_this_user_can_read_them(folder: Path) -> None:
    await Verdicts(folder / "serve").condemn(verdict(BAD))
    assert (folder / "serve").stat().st_mode & 0o777 == 0o700
    assert (folder / "serve" / "verdicts.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"[{]", b"\xff\xfe", b'{"model": 1}'])
async def test_a_damaged_file_is_moved_aside(folder: Path, content: bytes) -> None:
    (folder / "verdicts.json").write_bytes(content)
    begun_anew = Verdicts(folder)
    assert begun_anew.pending == []
    assert (folder / "verdicts.json.damaged").read_bytes() == content
    await begun_anew.condemn(verdict(BAD))
    assert Verdicts(folder).pending == [verdict(BAD)]


async def test_on_a_disk_that_takes_nothing_a_verdict_holds_while_the_process_lives(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(verdicts, "write_file", full)
        kept = Verdicts(folder)
        await kept.condemn(verdict(BAD))
        assert kept.condemned(BAD) == "it is wrong"
    await kept.condemn(verdict(WORSE))  # there is room again: all of them are written
    assert Verdicts(folder).pending == [verdict(BAD), verdict(WORSE)]
