"""What `packaging/build` and `packaging/repo` make, looked at without a machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

from booted.packages import Packages
from booted.shell import run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["flip-agent", "flip-hub"])
def test_lintian_finds_nothing_that_is_not_explained(packages: Packages, name: str) -> None:
    done = run("lintian", "--fail-on", "error,warning", packages.built(name, "1.0.0"), check=False, within=900)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_repository_keeps_every_version_and_refuses_to_change_one(packages: Packages, tmp_path: Path) -> None:
    old, new = packages.built("flip-agent", "1.0.0"), packages.built("flip-agent", "1.1.0")
    repo = ROOT / "packaging" / "repo"
    run(repo, tmp_path, old)
    assert run(repo, tmp_path, new).stdout.split() == ["flip-agent_1.0.0_amd64", "flip-agent_1.1.0_amd64"]
    index = (tmp_path / "public/dists/stable/main/binary-amd64/Packages").read_text()
    assert [line for line in index.splitlines() if line.startswith("Version:")] == ["Version: 1.0.0", "Version: 1.1.0"]
    signed = [
        "gpgv",
        "--keyring",
        tmp_path / "public/flip-archive-keyring.gpg",
        tmp_path / "public/dists/stable/InRelease",
    ]
    assert subprocess.run(signed, capture_output=True, check=False).returncode == 0
    assert not any("key" in path.parts for path in (tmp_path / "public").rglob("*"))
    altered = tmp_path / new.name
    shutil.copyfile(packages.broken("1.1.0"), altered)
    refused = run(repo, tmp_path, altered, check=False)
    assert refused.returncode == 1
    assert "a version never changes" in refused.stderr
    assert "no package" in run(repo, tmp_path, tmp_path / "none.deb", check=False).stderr
