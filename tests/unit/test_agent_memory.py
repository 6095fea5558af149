"""A process gives back what only its start needed, and goes on as before."""

import subprocess
import sys

PROGRAM = """
import numpy as np, onnxruntime
from flip_agent.memory import give_memory_back, hoard_nothing, release, resident_bytes

hoard_nothing()
held = [np.ones(2**18) for _ in range(8)]
before = resident_bytes()
give_memory_back()
started = resident_bytes()
held.clear()
release()
print(before - started, started - resident_bytes(), onnxruntime.get_available_providers())
"""


def test_code_that_has_run_and_blocks_that_are_free_go_back_to_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    code, blocks, providers = done.stdout.split(maxsplit=2)
    assert int(code) > 5 * 2**20
    assert int(blocks) > 12 * 2**20, "of 16 MiB"
    assert "CPUExecutionProvider" in providers
