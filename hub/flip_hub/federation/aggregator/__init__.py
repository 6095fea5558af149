"""The ServerApp's process: rounds of any Flower strategy, with the hub's Grid around it."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""Else onnxruntime keeps a database of what it does in the home folder, and sends it to Microsoft."""
