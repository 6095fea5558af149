"""Replies that came too late for their round, what became of the others, and where the chain of receipts ends."""

from fleet import FLOWER, NOW, device_id

from flip_hub.contributions.schemas import Contribution, LateContribution, LateCounts
from flip_hub.receipts.chain import GENESIS, ReceiptSeal
from flip_wire.contributions import Fate

NONE = LateCounts(uploading=0, dropped=0)
SOME = LateCounts(uploading=1, dropped=4)


def late_contributions() -> list[LateContribution]:
    """Newest first."""
    return [
        late(3, "evaluate", "its round had ended after 20 s", NOW - 12, seconds=2.1, size=4_812),
        late(2, "train", "its round had ended after 60 s", NOW - 25, seconds=38.4, size=4_803_640),
    ]


def late(round: int, phase: str, reason: str, at: float, *, seconds: float, size: int) -> LateContribution:
    return LateContribution(
        message_id=f"{phase}-{round}",
        device_id=device_id(3),
        round=round,
        phase=phase,
        reason=reason,
        seconds=seconds,
        size=size,
        kept_at=at,
    )


def contributions() -> list[Contribution]:
    """One that counts, in a later round than its own, one that is refused, and one that is no result."""
    refused = "a replayed receipt: what is signed was given before, for another instruction"
    return [
        contribution(3, Fate.ACCEPTED, share=0.625, entry=7),
        contribution(2, Fate.REFUSED, reason=refused, entry=5),
        contribution(1, Fate.ACCEPTED, reason="the ClientApp ran out of memory", entry=4),
    ]


def contribution(
    number: int, fate: Fate, *, share: float | None = None, reason: str = "", entry: int = 0
) -> Contribution:
    return Contribution(
        message_id=f"message-{number}",
        flower_run_id=FLOWER,
        device_id=device_id(number),
        round=2,
        phase="train",
        sent_at=NOW - 60,
        received_at=NOW - 30,
        fate=fate,
        reason=reason,
        counts=fate is Fate.ACCEPTED and not reason,
        kept_late=False,
        sha256="a" * 64,
        size=4_812,
        weight=120.0,
        share=share,
        taken=3 if fate is Fate.ACCEPTED and not reason else 0,
        signed=True,
        entry=entry,
    )


def seal(run_id: str, entries: int = 0, *, final: bool = False) -> ReceiptSeal:
    return ReceiptSeal(
        run_id=run_id,
        entries=entries,
        hash="5e" * 32 if entries else GENESIS,
        final=final,
        at=NOW - 20,
        key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJXhVt0m7VZ5rjb8ZkX5k1y1PqfS9K0bqB4o1n4Kq8m",
        signature="c2lnbmF0dXJl",
    )
