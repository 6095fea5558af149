"""A key that is none is named with the way out, wherever it is used; a good one is kept."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from flip_agent.device_key import KEY_FILE, load_key, make_key, read_key
from flip_agent.hub.assertion import signed_token_request
from flip_runtime.errors import ConfigError, Unavailable
from flip_wire.fleet import DeviceId

DEVICE = DeviceId("dev-0123456789ab")


def pem(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, sealed: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed or NoEncryption())


def test_a_key_that_was_made_is_good_and_is_kept(folder: Path) -> None:
    make_key(folder)
    before = read_key(folder)
    make_key(folder)
    assert read_key(folder) == before
    assert load_key(folder).curve.name == "secp384r1"
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (os.urandom(300), "damaged"),
        (b"", "damaged"),
        (pem(ec.generate_private_key(ec.SECP384R1()), BestAvailableEncryption(b"secret")), "damaged"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "P-384"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "P-384"),
    ],
    ids=["random", "empty", "encrypted", "another curve", "another kind"],
)
def test_what_is_no_p384_key_is_refused_with_the_way_out(folder: Path, content: bytes, complaint: str) -> None:
    (folder / KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as refused:
        load_key(folder)
    assert str(folder / KEY_FILE) in str(refused.value)
    assert "enrol URL --token T --again" in refused.value.hint


def test_the_daemon_hears_from_its_child_in_one_line_what_is_wrong_with_the_key(folder: Path) -> None:
    (folder / KEY_FILE).write_bytes(os.urandom(300))
    with pytest.raises(Unavailable) as refused:
        asyncio.run(signed_token_request(folder, DEVICE, 0.0, "life"))
    text = str(refused.value)
    assert f"{folder / KEY_FILE} is damaged" in text
    assert "--again" in text
    assert "\n" not in text


def test_who_only_names_the_key_does_not_import_cryptography() -> None:
    code = "import sys, flip_agent.enrolment, flip_agent.device_key; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
