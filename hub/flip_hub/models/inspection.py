"""Whether uploaded files are what they are said to be, before a version is made of them."""

import sys
from pathlib import Path

from flip_hub.problem import Unprocessable
from flip_runtime.captured import captured

_WITHIN = 60.0
_MOST = 2**16


async def inspect_files(weights: Path, graph: Path | None) -> None:
    """Raises `Unprocessable`, or `Unavailable` when that cannot be found out now."""
    files = [str(path) for path in (weights, graph) if path is not None]
    command = [sys.executable, "-m", "flip_hub.models.inspected_files", *files]
    looked = await captured(command, within=_WITHIN, most=_MOST)
    if looked.status != 0:
        raise Unprocessable(
            looked.complaint[:500],
            hint="weights as safetensors.torch.save_file writes them, a graph as torch.onnx.export does",
        )
