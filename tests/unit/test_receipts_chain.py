"""The chain of a run's receipts: whoever alters one, with or without the hashes after it, is found."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.cli import main
from flip_hub.models.signing import ModelSigner
from flip_hub.receipts.chain import End, ReceiptEntry, ReceiptSeal, chained, end, sealed
from flip_hub.receipts.file import Verdict, lines_of, read_lines, verify, write_lines
from flip_hub.receipts.signatures import is_signed_by
from flip_runtime.errors import Rejected
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256
from flip_wire.statements import Signed, Statement, content_hash

RUN = "run-0123456789ab"
HUB, STRANGER = (ModelSigner(load_private_key(make_private_key())) for _ in range(2))
KEYS = [ec.generate_private_key(ec.SECP384R1()) for _ in range(2)]
PEMS = [
    key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    for key in KEYS
]


def signed(device: int, round: int, nonce: str, run_id: str = RUN) -> Signed:
    statement = Statement(
        device_id=DeviceId(f"dev-{device}"),
        run_id=run_id,
        round=round,
        phase="train",
        base=Sha256("a" * 64),
        content=Sha256("b" * 64),
        samples=10.0,
        nonce=nonce,
    )
    signature = KEYS[device].sign(statement.signed_content(), ec.ECDSA(hashes.SHA256()))
    return Signed(statement=statement, signature=base64.b64encode(signature).decode())


def entry(device: int, round: int, said: Signed | None, fate: Fate = Fate.ACCEPTED) -> ReceiptEntry:
    return ReceiptEntry(
        run_id=RUN,
        seq=0,
        message_id=f"m{device}{round}{fate}",
        device_id=DeviceId(f"dev-{device}"),
        round=round,
        phase="train",
        fate=fate,
        reason="" if fate is Fate.ACCEPTED else "why",
        weight=0.5 if fate is Fate.ACCEPTED else None,
        at=1763800000.5,
        signed=said,
        key=PEMS[device] if said else "",
        before="",
        hash="",
    )


def seal(entries: Sequence[ReceiptEntry], signer: ModelSigner = HUB) -> ReceiptSeal:
    last = end(entries[-1]) if entries else End()
    unsigned = ReceiptSeal(
        run_id=RUN, entries=last.seq, hash=last.hash, final=True, at=1763800001.0, key=signer.line, signature=""
    )
    return sealed(unsigned, signer.signature)


SAID = [(device, round, signed(device, round, f"{device}{round}")) for round in (1, 2) for device in (0, 1)]
CHAIN = chained(End(), [*(entry(*each) for each in SAID), entry(0, 3, None, Fate.LATE)])


def checked(entries: Sequence[ReceiptEntry], by: ReceiptSeal, **known: object) -> Verdict:
    return verify(lines_of(entries, by), **known)  # pyright: ignore[reportArgumentType]


def test_a_chain_as_it_was_written_is_whole() -> None:
    verdict = checked(CHAIN, seal(CHAIN), keys=dict(zip(("dev-0", "dev-1"), PEMS, strict=True)), hub_key=HUB.line)
    assert (verdict.broken, verdict.entries, verdict.signed, verdict.final) == (None, 5, 4, True)


FIELDS = {
    "message_id": "other",
    "device_id": DeviceId("dev-9"),
    "round": 7,
    "phase": "evaluate",
    "fate": Fate.REFUSED,
    "reason": "another",
    "weight": 0.75,
    "at": 1.0,
    "signed": None,
    "key": PEMS[1],
    "before": "f" * 64,
    "hash": "f" * 64,
    "run_id": "run-other",
    "seq": 9,
}


@given(place=st.integers(0, 3), field=st.sampled_from(sorted(FIELDS)))
def test_an_entry_that_was_altered_is_named(place: int, field: str) -> None:
    changed = replace(CHAIN[place], **{field: FIELDS[field]})
    if changed == CHAIN[place]:
        return
    verdict = checked([*CHAIN[:place], changed, *CHAIN[place + 1 :]], seal(CHAIN))
    assert verdict.broken is not None
    assert verdict.entries in (place, place + 1)


@given(st.permutations(range(len(CHAIN))))
def test_an_order_that_was_changed_is_found(order: list[int]) -> None:
    verdict = checked([CHAIN[place] for place in order], seal(CHAIN))
    assert (verdict.broken is None) == (order == sorted(order))


@given(st.sets(st.integers(0, len(CHAIN) - 1), min_size=1))
def test_entries_that_were_removed_are_found_and_also_when_all_hashes_are_made_anew(removed: set[int]) -> None:
    left = [each for place, each in enumerate(CHAIN) if place not in removed]
    assert checked(left, seal(CHAIN)).broken is not None
    anew = chained(End(), left)
    assert checked(anew, seal(CHAIN)).broken is not None
    assert checked(anew, seal(anew, STRANGER), hub_key=HUB.line).broken is not None


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_with_any_bytes_changed_is_not_whole(folder: Path, data: st.DataObject) -> None:
    path, lines = folder / "receipts", list(lines_of(CHAIN, seal(CHAIN)))
    write_lines(path, lines)
    content = path.read_bytes()
    noise = data.draw(st.binary(min_size=1, max_size=3))
    place = data.draw(st.integers(0, len(content) - len(noise)))
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    try:
        verdict = verify(read_lines(path), hub_key=HUB.line)
    except Rejected:
        return  # it is no such file any more
    assert verdict.broken is not None or list(read_lines(path)) == lines


def test_the_hub_cannot_alter_what_a_device_has_signed() -> None:
    said = CHAIN[0].signed
    assert said is not None
    more = Signed(statement=replace(said.statement, samples=1e6), signature=said.signature)
    forged = chained(End(), [replace(CHAIN[0], signed=more), *CHAIN[1:]])
    verdict = checked(forged, seal(forged))
    assert verdict.broken is not None
    assert verdict.broken.what == "entry 1 (round 1, dev-0): the device's signature is not good"


def test_a_device_s_signature_with_a_key_that_is_not_its_own_is_found_by_who_knows_its_key() -> None:
    verdict = checked(CHAIN, seal(CHAIN), keys={"dev-0": PEMS[0], "dev-1": PEMS[0]})
    assert verdict.broken is not None
    assert "entry 2 (round 1, dev-1) is signed with another key" in verdict.broken.what


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (entry(0, 1, SAID[0][2]), "what is signed was accepted before"),
        (entry(1, 1, SAID[0][2]), "the device's signature is not good"),
        (entry(0, 2, SAID[0][2]), "what is signed is train of round 1"),
        (entry(0, 1, signed(0, 1, "x", "run-other")), "what is signed is of dev-0 in run-other"),
    ],
)
def test_a_statement_that_was_accepted_twice_or_for_something_else_is_found(more: ReceiptEntry, what: str) -> None:
    forged = chained(End(), [*CHAIN, more])
    verdict = checked(forged, seal(forged))
    assert verdict.broken is not None
    assert verdict.broken.seq == 6
    assert what in verdict.broken.what


def test_a_refused_replay_is_part_of_a_whole_chain() -> None:
    told = chained(End(), [*CHAIN, entry(0, 2, SAID[0][2], Fate.REFUSED)])
    assert checked(told, seal(told)).broken is None


def test_a_chain_without_its_seal_or_with_another_s_is_not_whole() -> None:
    unsealed = list(lines_of(CHAIN, seal(CHAIN)))[:-1]
    verdict = verify(unsealed)
    assert verdict.broken is not None
    assert verdict.broken.what == "the hub's seal is missing"
    other = checked(CHAIN, replace(seal(CHAIN), key=STRANGER.line))
    assert other.broken is not None
    assert other.broken.what == "the seal is not signed with the key that it names"


def test_what_is_no_key_and_no_signature_signs_nothing() -> None:
    said = SAID[0][2]
    assert is_signed_by(PEMS[0], said)
    assert not is_signed_by("no key", said)
    assert not is_signed_by(PEMS[0], replace(said, signature="ü"))
    assert not is_signed_by(PEMS[0], replace(said, signature=""))


def test_what_a_record_is_called_belongs_to_its_content() -> None:
    assert content_hash({"a": "1", "b": "2"}) != content_hash({"a": "2", "b": "1"})


def test_the_command_line_says_what_is_wrong_and_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, key = folder / "receipts", folder / "hub.pub"
    write_lines(file, lines_of(CHAIN, seal(CHAIN)))
    key.write_text(f"{HUB.line} hub\n")
    main(["receipts", "verify", str(file), "--hub-key", str(key)])
    assert capsys.readouterr().out == f"the receipts of {RUN} are whole: 5 entries, 4 signed by their devices\n"
    file.write_bytes(file.read_bytes().replace(b'"round":2', b'"round":3', 1))
    with pytest.raises(SystemExit) as left:
        main(["receipts", "verify", str(file)])
    assert left.value.code == 1
    assert "are broken: entry 3 was altered" in capsys.readouterr().err
    key.write_text(STRANGER.line)
    write_lines(file, lines_of(CHAIN, seal(CHAIN)))
    with pytest.raises(SystemExit):
        main(["receipts", "verify", str(file), "--hub-key", str(key)])
    assert "another key than the hub's" in capsys.readouterr().err


def test_keys_that_were_meant_to_be_trusted_are_never_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that somebody failed to fill would else mean: as the receipts themselves say."""
    file, given = folder / "receipts", folder / "given"
    write_lines(file, lines_of(CHAIN, seal(CHAIN)))

    def refused(flag: str, content: str) -> str:
        given.write_text(content)
        with pytest.raises(SystemExit):
            main(["receipts", "verify", str(file), flag, str(given)])
        return capsys.readouterr().err

    for content in ("", "{}", PEMS[0]):
        assert f"{given}: this is no public key in OpenSSH's format" in refused("--hub-key", content)
    assert "dev-0) is of a device whose key is not among those given" in refused("--device-keys", "{}")
    file.write_text("{}\n")
    assert f"{file}: these are no receipts" in refused("--hub-key", HUB.line)
