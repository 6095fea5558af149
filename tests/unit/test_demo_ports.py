"""Free ports: what is drawn is nobody else's."""

import subprocess
import sys

from flip_demo.ports import free_port, is_free

COUNT = 120
"""More than one block."""


def test_processes_side_by_side_never_draw_the_same_port() -> None:
    script = f"from flip_demo.ports import free_port\nfor _ in range({COUNT}): print(free_port())\ninput()"
    others = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    drawn = [free_port() for _ in range(COUNT)]
    for other in others:
        assert other.stdout is not None
        drawn += [int(other.stdout.readline()) for _ in range(COUNT)]
    for other in others:
        other.communicate("\n")
    assert len(set(drawn)) == len(drawn) == 3 * COUNT
    assert all(is_free(port) for port in drawn[:COUNT])
