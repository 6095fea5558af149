"""Asks the devices, over HTTP as an app on them would, and counts how often they are right."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

BATCH = 60
"""Images per request; the agent's default allows 64 rows."""


class InferAnswer(msgspec.Struct):
    """What of an Open Inference Protocol response is used here."""

    class Output(msgspec.Struct):
        name: str
        shape: list[int]
        data: list[float]

    model_name: str
    model_version: str
    outputs: list[Output]


def served_accuracy(url: str, model: str, version: int, images: Images, labels: Labels) -> float:
    """The share of right answers, from the HTTP answers alone. Every answer must come from that version."""
    right = 0
    with httpx.Client(base_url=url, timeout=30) as client:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            response = client.post(f"/v2/models/{model}/infer", content=infer_request(batch))
            response.raise_for_status()
            answer = msgspec.json.decode(response.content, type=InferAnswer)
            if answer.model_version != str(version):
                raise ValueError(f"{url} answered with version {answer.model_version}, not {version}")
            scores = np.array(answer.outputs[0].data).reshape(answer.outputs[0].shape)
            right += int((scores.argmax(axis=1) == labels[start : start + BATCH]).sum())
    return right / len(images)


def infer_request(images: Images) -> bytes:
    tensor: dict[str, Any] = {
        "name": "x",
        "shape": list(images.shape),
        "datatype": "FP32",
        "data": images.ravel().tolist(),
    }
    return msgspec.json.encode({"inputs": [tensor]})


def save_sample(path: Path, images: Images) -> None:
    """Writes the images as the body of a `/predict` request."""
    path.write_bytes(msgspec.json.encode({"inputs": images.round(4).tolist()}))
