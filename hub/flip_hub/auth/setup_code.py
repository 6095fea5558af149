"""The one-time code by which the first admin is made over HTTP, while there is nobody who could log in.

It lies in a file that only the hub's user can read. Whoever removes it first has used it.
"""

import hmac
import secrets
from pathlib import Path

from flip_hub.problem import Forbidden
from flip_runtime.atomic import write_file

SETUP_CODE = "setup.code"


class SetupCode:
    def __init__(self, state: Path) -> None:
        self.path = state / SETUP_CODE

    def make(self) -> bool:
        """Whether it had to; the one that is there stays."""
        if self.path.exists():
            return False
        write_file(self.path, f"{secrets.token_hex(16)}\n".encode())
        return True

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def spend(self, code: str) -> None:
        """Raises `Forbidden` for another code, and when somebody else was quicker."""
        try:
            good = hmac.compare_digest(self.path.read_bytes().strip(), code.encode().strip())
            if good:
                self.path.unlink()
        except FileNotFoundError:
            good = False
        if not good:
            raise Forbidden("the set-up code is wrong", hint=f"it is in {SETUP_CODE} in the hub's state folder")
