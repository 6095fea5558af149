"""Programs of the host, bounded in time; what they complain of is in the error."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

Output = subprocess.CompletedProcess[str]


class Failed(AssertionError):
    """A command did not end as it should."""


def run(
    *command: str | Path,
    check: bool = True,
    within: float = 300.0,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Output:
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        input=given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=within,
        env=environment,
        check=False,
    )
    if check and done.returncode != 0:
        raise Failed(
            f"{' '.join(words)[:500]} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done
