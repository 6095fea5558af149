"""`install.sh`: what a person runs on a device. It is the same for everybody, so that its hash can be shown."""

import hashlib
from pathlib import Path

from flip_hub.packages.repository import Repository

_TEMPLATE = Path(__file__).with_name("install.sh")


class InstallScript:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @property
    def text(self) -> str:
        """Empty where there is no repository to install from."""
        key = self._repository.key
        return _TEMPLATE.read_text(encoding="utf-8").replace("@KEY@", key) if key else ""

    @property
    def sha256(self) -> str:
        text = self.text
        return hashlib.sha256(text.encode()).hexdigest() if text else ""
