"""What the hub has said of this device's contributions, as `flip-agent receipts` shows it.

`train` keeps them in `session.db` and tells `run`, the newest anew whenever it connects; `run` keeps what it heard last
in a file of its own, so that the command is answered while no session is there. A damaged file is begun anew: the next
session tells all of it again.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_file
from flip_wire.contributions import Fate

log = logging.getLogger(__name__)

SHOWN = 100
"""The newest, which `run` keeps."""
_FILE = "receipts.json"


class KeptReceipt(Struct, frozen=True, kw_only=True):
    message_id: str
    """Of the instruction."""
    run_id: str
    """The hub's."""
    round: int
    phase: str
    samples: float | None
    """That the contribution stands on, where it says so."""
    statement: str
    """Its digest (`flip_wire.statements`)."""
    fate: Fate
    reason: str = ""
    weight: float | None = None
    """Its share in the aggregate; None where the hub does not say."""
    entry: int = 0
    """Its number in the run's chain of receipts; 0 before it is there."""
    hash: str = ""
    """Of that entry."""
    at: float
    """When it was signed, and later when its fate was heard, by the device's clock."""


class ReceiptFile:
    def __init__(self, state: Path) -> None:
        self._path = state / _FILE
        self._receipts = {each.message_id: each for each in _read(self._path)}

    def heard(self, receipts: Iterable[KeptReceipt]) -> None:
        """Blocks until they are on disk; what is known already costs nothing."""
        told = {each.message_id: each for each in receipts}
        known = self._receipts
        if all(known.get(key) == each for key, each in told.items()):
            return
        newest = sorted({**known, **told}.values(), key=lambda each: each.at)[-SHOWN:]
        self._receipts = {each.message_id: each for each in newest}
        try:
            write_file(self._path, msgspec.json.encode(newest), mode=0o600)
        except OSError as error:
            log.warning("receipts are not kept on disk", extra={"reason": str(error)})

    def newest(self) -> list[KeptReceipt]:
        """The newest first."""
        return sorted(self._receipts.values(), key=lambda each: each.at, reverse=True)


def render(receipts: Sequence[KeptReceipt]) -> str:
    if not receipts:
        return "no contribution was signed yet"
    head = ("WHEN", "RUN", "ROUND", "PHASE", "SAMPLES", "FATE", "WEIGHT", "REASON")
    rows = [head, *(_row(each) for each in receipts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(receipt: KeptReceipt) -> tuple[str, ...]:
    return (
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(receipt.at)),
        receipt.run_id,
        str(receipt.round),
        receipt.phase,
        "" if receipt.samples is None else f"{receipt.samples:g}",
        str(receipt.fate),
        "" if receipt.weight is None else f"{receipt.weight:.1%}",
        receipt.reason,
    )


def _read(path: Path) -> list[KeptReceipt]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[KeptReceipt])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("receipts cannot be read", extra={"reason": str(error)})
        return []
