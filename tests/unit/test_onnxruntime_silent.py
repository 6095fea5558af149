"""What runs on devices and hubs tells nobody else of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["flip_agent.inference.engine.predictor", "flip_hub.federation.aggregator.export"])
def test_onnxruntime_neither_keeps_nor_sends_telemetry(module: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = f"import os, {module}; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert [path for path in tmp_path.rglob("*") if "onnx" in path.name.lower()] == []
