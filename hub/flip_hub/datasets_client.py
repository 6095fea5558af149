"""The hub's API about datasets from Python, and how a file comes to it (tus 1.0)."""

import base64
from pathlib import Path

from flip_hub.datasets.schemas import Dataset, DatasetRequest
from flip_hub.hub_calls import HubCalls, part
from flip_runtime.errors import Unavailable

_PIECE = 8 * 2**20
"""Bytes of one call."""
_SPEAKS = {"Tus-Resumable": "1.0.0"}
_PART = {**_SPEAKS, "Content-Type": "application/offset+octet-stream"}


class DatasetsApi(HubCalls):
    """What there is to call; how, and as whom, says `HubCalls`."""

    def datasets(self) -> list[Dataset]:
        """By name."""
        return self._all("/api/v1/datasets", Dataset)

    def add_dataset(self, name: str, file: Path, description: str = "") -> Dataset:
        """Raises `OSError` when the file cannot be read."""
        upload = self._upload(file)
        return self._post(
            "/api/v1/datasets", Dataset, DatasetRequest(name=name, upload=upload, description=description)
        )

    def remove_dataset(self, name: str) -> Dataset:
        return self._delete(f"/api/v1/datasets/{part(name)}", Dataset)

    def _upload(self, file: Path) -> str:
        """Its id, once the hub has all of it."""
        with file.open("rb") as content:
            size = file.stat().st_size
            named = base64.b64encode(file.name.encode()).decode()
            headers = {**_SPEAKS, "Upload-Length": str(size), "Upload-Metadata": f"filename {named}"}
            begun = self._send("POST", "/api/v1/uploads", more=headers)
            path, offset = begun.headers["Location"], 0
            while offset < size:
                piece = content.read(_PIECE)
                answer = self._send("PATCH", path, piece, more={**_PART, "Upload-Offset": str(offset)})
                if int(answer.headers["Upload-Offset"]) <= offset:
                    raise Unavailable("the hub takes nothing of the file", hint="try again")
                offset = int(answer.headers["Upload-Offset"])
                content.seek(offset)
        return path.rpartition("/")[2]
