"""Kills at random moments: what the sample store has accepted is there, once, and says what was said last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample_lives import Notes

from sample_stores import running

TESTS = Path(__file__).parents[1]


@pytest.mark.asyncio
async def test_nothing_accepted_is_lost_or_doubled_however_often_serve_is_killed(
    folder: Path, pytestconfig: pytest.Config
) -> None:
    kills = 100 if pytestconfig.getoption("--long") else 20
    script = Path(__file__).with_name("sample_lives.py")
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(script), str(folder), str(kills), "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=paths)  # noqa: ASYNC221
    assert done.returncode == 0, done.stderr[-3000:]
    notes = Notes(folder)
    async with running(folder) as store:
        found = await store.labelled("weather", 10**9)
        status = await store.status()
        outcomes = await store.recent_outcomes("weather", 1, 10**9)
    rows = found.inputs["x"]
    sent = [int(row[0]) for row in rows if row[0] == row[1]]
    judged = [label for row, label in zip(rows, found.labels.tolist(), strict=True) if row[0] != row[1]]
    assert len(notes.begun) > kills // 2
    assert notes.accepted
    assert len(sent) == len(set(sent))
    assert notes.accepted <= set(sent) <= notes.begun
    assert len(notes.judged) <= judged.count(1)
    assert len(judged) == len(outcomes) == status.feedback
    assert (status.samples, status.lost.files, status.lost.samples_damaged) == (len(rows), 0, 0)
