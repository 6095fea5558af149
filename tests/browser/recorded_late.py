"""Replies that came too late for their round."""

from fleet import NOW, device_id

from flip_hub.contributions.schemas import LateContribution, LateCounts

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
