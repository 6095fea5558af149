"""Keys of virtual devices. They follow from the lab's seed, so anybody can make them: they are good for a lab alone."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flip_agent.device_key import KEY_FILE
from flip_runtime.atomic import write_file


def keep_key(state: Path, seed: str) -> None:
    """Where the agent looks for its key."""
    number = int.from_bytes(hashlib.sha256(f"flip-lab/{seed}".encode()).digest(), "big")
    key = ec.derive_private_key(number, ec.SECP384R1())
    form = serialization.PrivateFormat.PKCS8
    write_file(
        state / KEY_FILE,
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()),
        mode=0o600,
    )
