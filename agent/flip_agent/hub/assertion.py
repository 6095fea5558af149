"""Signs a token request with the device's key, in a short-lived process: cryptography costs `run` 10 MiB otherwise.

`python -m flip_agent.hub.assertion STATE DEVICE_ID ISSUED_AT LIFE` prints the `TokenRequest` as JSON.
"""

import sys
from pathlib import Path

import msgspec

from flip_agent.device_key import load_key
from flip_runtime.captured import captured
from flip_runtime.errors import ConfigError, Unavailable
from flip_wire.fleet import DeviceId, TokenRequest, token_assertion

_WITHIN = 60.0
"""Seconds; the imports take two on a slow board."""
_MOST = 2**16
"""Bytes."""


async def signed_token_request(state: Path, device_id: DeviceId, issued_at: float, life: str) -> TokenRequest:
    """`issued_at` by the hub's clock, `life` of this process. Raises `Unavailable` when the key cannot be used:
    enrolling anew heals that while the daemon, and inference, go on."""
    program = (sys.executable, "-m", "flip_agent.hub.assertion")
    try:
        end = await captured([*program, str(state), device_id, f"{issued_at:.3f}", life], within=_WITHIN, most=_MOST)
    except Unavailable as error:
        raise Unavailable(f"cannot sign the token request: {error}") from error
    if end.status != 0:
        raise Unavailable(f"cannot sign the token request: {end.complaint}")
    return msgspec.json.decode(end.out, type=TokenRequest)


def sign(state: Path, device_id: DeviceId, issued_at: float, life: str = "") -> TokenRequest:
    """Raises `ConfigError` when the key cannot be used."""
    import base64
    import secrets

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = load_key(state)
    nonce = secrets.token_hex(16)
    signature = key.sign(token_assertion(device_id, issued_at, nonce, life), ec.ECDSA(hashes.SHA256()))
    text = base64.b64encode(signature).decode()
    return TokenRequest(device_id=device_id, issued_at=issued_at, nonce=nonce, signature=text, life=life)


if __name__ == "__main__":
    try:
        request = sign(Path(sys.argv[1]), DeviceId(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    sys.stdout.write(msgspec.json.encode(request).decode())
