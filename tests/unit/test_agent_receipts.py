"""What the agent keeps of the hub's word on its contributions, and shows."""

from pathlib import Path

from msgspec.structs import replace

from flip_agent.federation.session_store import SessionStore
from flip_agent.receipts import SHOWN, KeptReceipt, ReceiptFile, render
from flip_wire.contributions import Fate, Receipt
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256
from flip_wire.statements import Statement

SAID = Statement(
    device_id=DeviceId("dev-1"),
    run_id="run-1",
    round=2,
    phase="train",
    base=Sha256("a" * 64),
    content=Sha256("b" * 64),
    samples=120.0,
    nonce="00",
)


def kept(number: int) -> KeptReceipt:
    return KeptReceipt(
        message_id=f"m{number}",
        run_id="run-1",
        round=number,
        phase="train",
        samples=10.0,
        statement="c" * 64,
        fate=Fate.ACCEPTED,
        weight=0.25,
        at=1763800000.0 + number,
    )


def test_a_receipt_is_kept_from_its_signature_on_and_told_with_its_fate(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        store.receipts.signed("m1", SAID)
        (pending,) = store.receipts.newest(10)
        assert (pending.fate, pending.samples, pending.statement) == (Fate.PENDING, 120.0, SAID.digest)
        told = Receipt(message_id="m1", fate=Fate.REFUSED, reason="why", entry=7, hash="d" * 64)
        settled = store.receipts.settled(told)
        assert settled is not None
        assert store.receipts.settled(Receipt(message_id="unsigned", fate=Fate.LATE)) is None
    with SessionStore(folder / "session.db") as store:
        assert store.receipts.newest(10) == [settled]
        assert (settled.fate, settled.reason, settled.entry, settled.round) == (Fate.REFUSED, "why", 7, 2)


def test_run_keeps_the_newest_receipts_over_a_restart_and_each_once(folder: Path) -> None:
    file = ReceiptFile(folder)
    file.heard(kept(number) for number in range(SHOWN + 5))
    file.heard([replace(kept(SHOWN), reason="said again")])
    found = ReceiptFile(folder).newest()
    assert [each.round for each in found] == list(range(SHOWN + 4, 4, -1))
    assert found[4].reason == "said again"


def test_a_damaged_file_of_receipts_is_begun_anew(folder: Path) -> None:
    (folder / "receipts.json").write_bytes(b"\x00damaged")
    file = ReceiptFile(folder)
    assert file.newest() == []
    file.heard([kept(1)])
    assert ReceiptFile(folder).newest() == [kept(1)]


def test_receipts_are_shown_as_a_table() -> None:
    shown = render([kept(3), replace(kept(2), fate=Fate.REFUSED, weight=None, samples=None, reason="no signature")])
    head, first, second = shown.splitlines()
    assert head.split() == ["WHEN", "RUN", "ROUND", "PHASE", "SAMPLES", "FATE", "WEIGHT", "REASON"]
    assert first.split()[2:] == ["run-1", "3", "train", "10", "accepted", "25.0%"]
    assert second.split()[2:] == ["run-1", "2", "train", "refused", "no", "signature"]
    assert render([]) == "no contribution was signed yet"
