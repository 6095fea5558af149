"""Signs a token request with the device's key, in a short-lived process: cryptography costs `run` 10 MiB otherwise.

`python -m flip_agent.hub.assertion STATE DEVICE_ID ISSUED_AT` prints the `TokenRequest` as JSON.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from flip_agent.device_key import load_key
from flip_runtime.errors import ConfigError, Unavailable
from flip_wire.fleet import DeviceId, TokenRequest, token_assertion

_WITHIN = 60.0
"""Seconds; the imports take two on a slow board."""


async def signed_token_request(state: Path, device_id: DeviceId, issued_at: float) -> TokenRequest:
    """`issued_at` by the hub's clock. Raises `Unavailable` when the key cannot be used: enrolling anew heals that while
    the daemon, and inference, go on."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flip_agent.hub.assertion", str(state), device_id, f"{issued_at:.3f}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            out, complaints = await process.communicate()
    except TimeoutError as error:
        raise Unavailable("signing the token request takes too long") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = complaints.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Unavailable(f"cannot sign the token request: {lines[-1]}")
    return msgspec.json.decode(out, type=TokenRequest)


def sign(state: Path, device_id: DeviceId, issued_at: float) -> TokenRequest:
    """Raises `ConfigError` when the key cannot be used."""
    import base64
    import secrets

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = load_key(state)
    nonce = secrets.token_hex(16)
    signature = key.sign(token_assertion(device_id, issued_at, nonce), ec.ECDSA(hashes.SHA256()))
    text = base64.b64encode(signature).decode()
    return TokenRequest(device_id=device_id, issued_at=issued_at, nonce=nonce, signature=text)


if __name__ == "__main__":
    try:
        request = sign(Path(sys.argv[1]), DeviceId(sys.argv[2]), float(sys.argv[3]))
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    sys.stdout.write(msgspec.json.encode(request).decode())
