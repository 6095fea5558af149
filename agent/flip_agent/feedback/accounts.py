"""What the sample file holds, and what it could not keep or has let go: nothing disappears uncounted."""

from msgspec import Struct
from msgspec.structs import asdict, replace


class Lost(Struct, frozen=True, kw_only=True):
    """Since the first file of this place was begun."""

    over_rate: int = 0
    """Predictions beyond `samples.predictions` a second."""
    too_large: int = 0
    """Predictions of more rows, or longer ones, than are kept."""
    not_written: int = 0
    """Predictions that the disk did not take."""
    predictions_expired: int = 0
    """Older than `samples.max_age`."""
    predictions_displaced: int = 0
    """Of a full file: newer ones are in their place."""
    samples_expired: int = 0
    samples_displaced: int = 0
    samples_damaged: int = 0
    """Found damaged on the disk, alone or with their whole file."""
    files: int = 0
    """Damaged ones that were moved aside."""

    def __add__(self, other: "Lost") -> "Lost":
        return Lost(**{name: count + getattr(other, name) for name, count in asdict(self).items()})


class Accounts(Struct, frozen=True, kw_only=True):
    predictions: int = 0
    prediction_bytes: int = 0
    samples: int = 0
    sample_bytes: int = 0
    feedback: int = 0
    """Predictions that feedback was given to, ever."""
    lost: Lost = Lost()

    def after_damage(self) -> "Accounts":
        """Of the file that takes a damaged one's place."""
        lost = replace(self.lost, samples_damaged=self.lost.samples_damaged + self.samples, files=self.lost.files + 1)
        return Accounts(feedback=self.feedback, lost=lost)
