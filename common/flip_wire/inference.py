"""What a device's inference server has answered; part of its health."""

from msgspec import Struct


class ModelTraffic(Struct, frozen=True, kw_only=True):
    """Of one version that answers, counted since its server process began."""

    model: str
    version: int
    instance: str
    """Of the server, where a device runs several."""
    requests: int
    """That were answered."""
    rows: int
    refused: int
    """Requests that were wrong, late or too many."""
    failed: int
    """Requests that were right and that the version could not compute."""
    p50: float
    """Seconds that the middle one of the latest answers took, the wait for its turn included; 0 without answers."""
    p99: float
    """Of their slowest hundredth."""
    queue: int
    """Requests that waited when this was told."""
    swaps: int
    """Of versions of this model, rollbacks not included."""
    rollbacks: int
    """That the server made by itself."""
    seconds: float = 0.0
    """That all answered requests took together, the wait for their turn included."""
    judged: int = 0
    """Answers whose truth became known: feedback."""
    correct: int = 0
    """Of these, the right ones."""
