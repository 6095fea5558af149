"""From checked tensors to outputs: versions of models, their batches, their forwards."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""Else onnxruntime keeps a database of what it does in the home folder, and sends it to Microsoft."""
