"""An app's signature: made by a person's or the hub's key, read by our devices and by Flower's SuperNode alike."""

import base64
import hashlib
import warnings
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.supercore.fab import Fab as FlowerFab
from flwr.supercore.primitives.asymmetric_ed25519 import create_message_to_sign

from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.app_store import AppStore
from flip_agent.federation.flower import Fab
from flip_hub.apps.signatures import (
    LockedKey,
    load_private_key,
    load_public_key,
    make_private_key,
    public_line,
    sign_app,
    signed_by,
    verifications,
)
from flip_runtime.errors import ConfigError, Rejected
from flip_wire.keys import id_of_key
from flip_wire.models import Sha256
from integration.hub_parts import fab_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer's use of click, when flwr is imported
    from flwr.supernode.start_client_internal import (
        _verify_fab as flower_verifies,  # pyright: ignore[reportPrivateUsage]  what its SuperNode asks
    )

FAB = fab_of()
HASH = Sha256(hashlib.sha256(FAB).hexdigest())
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def trusting(*keys: Ed25519PrivateKey) -> dict[str, str]:
    return {id_of_key(public_line(key)): public_line(key) for key in keys}


def signed(*keys: Ed25519PrivateKey, fab_hash: Sha256 = HASH) -> dict[str, str]:
    return verifications([sign_app(key, fab_hash, at=1_800_000_000.5) for key in keys])


# ---- Flower's own SuperNode ----


def test_flowers_supernode_takes_our_signatures_and_no_other_content() -> None:
    fab = FlowerFab(HASH, FAB, signed(OTHER, KEY))
    assert fab.verifications["valid_license"], "without it a SuperNode takes nothing as signed"
    assert flower_verifies(fab, trusting(KEY))
    assert not flower_verifies(fab, trusting(Ed25519PrivateKey.generate()))
    assert not flower_verifies(FlowerFab(HASH, FAB + b"!", fab.verifications), trusting(KEY))


def test_a_device_takes_signatures_as_flowers_own_tool_makes_them() -> None:
    signature = KEY.sign(create_message_to_sign(bytes.fromhex(HASH), 1_800_000_000))
    said = {"signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(), "signed_at": 1_800_000_000}
    (key_id,) = trusting(KEY)
    TrustedKeys(trusting(KEY)).check(HASH, {"valid_license": "Valid", key_id: msgspec.json.encode(said).decode()})


# ---- our devices ----


def test_a_device_refuses_what_no_trusted_key_has_signed_and_says_why() -> None:
    trusted = TrustedKeys(trusting(KEY))
    trusted.check(HASH, signed(OTHER, KEY))
    (key_id,) = trusting(KEY)
    refused = [
        ({}, "nobody has signed the app"),
        ({"valid_license": "Valid"}, "nobody has signed the app"),
        (signed(OTHER), "which this device does not trust"),
        (signed(KEY, fab_hash=Sha256("0" * 64)), f"the signature of {key_id} is not one over this app"),
        ({key_id: "{}"}, "is not one over this app"),
        ({key_id: '{"signature": "?", "signed_at": -1}'}, "is not one over this app"),
    ]
    for said, reason in refused:
        with pytest.raises(Rejected, match=reason):
            trusted.check(HASH, said)


def test_the_keys_that_a_devices_operator_names_stand_in_place_of_the_hubs() -> None:
    TrustedKeys.of(trusting(KEY), None).check(HASH, signed(KEY))
    TrustedKeys.of(trusting(KEY), [f"{public_line(OTHER)} ada@desk"]).check(HASH, signed(OTHER))
    for named in ([], [public_line(OTHER)]):
        with pytest.raises(Rejected, match="does not trust") as refused:
            TrustedKeys.of(trusting(KEY), named).check(HASH, signed(KEY))
        assert "federation.trusted_app_keys" in refused.value.hint
        assert "enrol --again" not in refused.value.hint
    with pytest.raises(Rejected, match="enrol --again"):
        TrustedKeys.of(trusting(KEY), None).check(HASH, signed(OTHER))
    p384 = generate_private_key(SECP384R1()).public_key()
    openssh = p384.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    for line in ("", "nonsense", "ssh-ed25519", "ssh-ed25519 !", openssh):
        with pytest.raises(ConfigError, match="trusted_app_keys"):
            TrustedKeys.of({}, [line])


def test_an_app_is_unpacked_only_when_it_is_signed_and_used_only_while_its_key_is_trusted(folder: Path) -> None:
    apps = AppStore(folder, TrustedKeys(trusting(KEY)))
    for fab in (
        Fab(content=FAB, verifications={}),
        Fab(content=FAB + b"!", verifications=signed(KEY)),
        Fab(content=FAB, verifications=signed(OTHER)),
    ):
        with pytest.raises(Rejected):
            apps.install(HASH, fab)
        assert list(folder.iterdir()) == []
        assert not apps.holds(HASH)
    apps.install(HASH, Fab(content=FAB, verifications=signed(KEY)))
    assert apps.holds(HASH)
    narrower = AppStore(folder, TrustedKeys(trusting(OTHER)))
    assert not narrower.holds(HASH)
    narrower.install(HASH, Fab(content=FAB, verifications=signed(KEY, OTHER)))
    assert narrower.holds(HASH)


# ---- keys ----


def test_keys_are_read_as_people_have_them() -> None:
    pem, openssh = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH
    for form in (pem, openssh):
        plain = KEY.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        assert public_line(load_private_key(plain)) == public_line(KEY)
    locked = KEY.private_bytes(serialization.Encoding.PEM, pem, serialization.BestAvailableEncryption(b"secret"))
    with pytest.raises(LockedKey):
        load_private_key(locked)
    with pytest.raises(Rejected, match="passphrase is wrong"):
        load_private_key(locked, b"guess")
    assert public_line(load_private_key(locked, b"secret")) == public_line(KEY)
    assert public_line(load_public_key(f"{public_line(KEY)} ada@desk")) == public_line(KEY)


def test_what_is_no_ed25519_key_is_refused_with_the_way_to_make_one() -> None:
    p384 = generate_private_key(SECP384R1())
    private = p384.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    for content in (private, b"", b"nonsense", public_line(KEY).encode()):
        with pytest.raises(Rejected, match="ssh-keygen -t ed25519"):
            load_private_key(content)
    public = p384.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    for line in (public.decode(), "", "ssh-ed25519 AAAA"):
        with pytest.raises(Rejected, match="ssh-keygen -t ed25519"):
            load_public_key(line)


def test_the_hubs_own_key_is_one_like_any_other() -> None:
    made = load_private_key(make_private_key())
    assert signed_by(public_line(made), HASH, sign_app(made, HASH, at=1.0))
    assert not signed_by(public_line(KEY), HASH, sign_app(made, HASH, at=1.0))
