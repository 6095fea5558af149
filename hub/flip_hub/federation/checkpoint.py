"""A run's checkpoints on disk: what a ServerApp needs to go on after the last finished step, bit for bit.

Two files for each round: when its training is aggregated, the model and all that the strategy remembers; when its
evaluation is, the metrics. Each is there whole or not at all (written aside, flushed, renamed), begins with the ids of
the messages whose replies are in it, and ends with a checksum. Round 0 is what the run began with.

NUMBER-ROUND.checkpoint: magic, length of the head (8 bytes, big endian), head and body (MessagePack), CRC-32.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_pieces
from flip_runtime.errors import Corrupt, Rejected

SUFFIX = ".checkpoint"
_MAGIC = b"FLIPCKP1"
_LENGTH = 8
_CRC = 4
_NAME = re.compile(r"(\d+)-(\d+)-(trained|done)\.checkpoint")
KEPT = 20
"""Rounds of one run whose checkpoints are kept, and the last before those that are not."""


class Place(Struct, frozen=True, order=True):
    """Of a checkpoint in its run."""

    start: int
    """Which call of `Strategy.start` in the ServerApp's life, from 1."""
    round: int
    done: bool
    """Whether the round's evaluation is in it, too."""

    @property
    def name(self) -> str:
        return f"{self.start}-{self.round:06}-{'done' if self.done else 'trained'}{SUFFIX}"

    @property
    def model(self) -> "Place":
        """Where the round's model and strategy are: they were written when its training was."""
        return Place(self.start, self.round, done=self.round == 0)


class Head(Struct, frozen=True, kw_only=True):
    taken: list[str]
    """Ids of the messages whose replies this checkpoint holds, or came to nothing for a reason that was told."""


class Checkpoints:
    """Of one run, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def places(self) -> list[Place]:
        """Oldest first."""
        return sorted(place for path in self.folder.glob(f"*{SUFFIX}") if (place := _place(path)) is not None)

    def newest(self, start: int) -> Place | None:
        """Of that call of `Strategy.start`; one that cannot be read, or whose model cannot, is passed over."""
        of_start = [place for place in self.places() if place.start == start]
        return next((place for place in reversed(of_start) if self._sound(place) and self._sound(place.model)), None)

    def after(self, number: int) -> Place:
        """What a run begins with that goes on after that round of this one, or after its last (0). Raises `Rejected`
        when it is not kept."""
        kept = [place for place in self.places() if place.start == 1 and place.done == (place.round == 0)]
        place = next((place for place in reversed(kept) if number in (0, place.round)), None)
        if place is None:
            rounds = ", ".join(str(each.round) for each in kept) or "none"
            of = f" of round {number}" if number else ""
            raise Rejected(f"{self.folder.name} has no checkpoint{of}", hint=f"there are: {rounds}")
        return place

    def write(self, place: Place, taken: list[str], body: Sequence[bytes]) -> None:
        """Returns when it is on disk. Raises `OSError`."""
        head = msgspec.msgpack.encode(Head(taken=taken))
        write_pieces(self.folder / place.name, _sealed([_MAGIC, len(head).to_bytes(_LENGTH, "big"), head, *body]))

    def read(self, place: Place) -> bytes:
        """The body. Raises `Corrupt`."""
        content = (self.folder / place.name).read_bytes()
        if crc32(content[:-_CRC]) != int.from_bytes(content[-_CRC:], "big"):
            raise Corrupt(f"{place.name} is damaged", hint="begin with another round: flip-hub runs start --from-run")
        begin = len(_MAGIC) + _LENGTH
        return content[begin + int.from_bytes(content[len(_MAGIC) : begin], "big") : -_CRC]

    def surplus(self) -> list[Place]:
        """Those that are not worth their room any more, oldest first."""
        rounds = sorted({(place.start, place.round) for place in self.places()})[:-KEPT]
        return [place for place in self.places() if (place.start, place.round) in rounds]

    def taken(self, place: Place) -> list[str]:
        return read_taken(self.folder / place.name)

    def remove(self, place: Place) -> None:
        (self.folder / place.name).unlink(missing_ok=True)

    def _sound(self, place: Place) -> bool:
        try:
            self.read(place)
        except (Corrupt, OSError):
            return False
        return True


def _sealed(pieces: Sequence[bytes]) -> Iterator[bytes]:
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
        yield piece
    yield crc.to_bytes(_CRC, "big")


def read_taken(path: Path) -> list[str]:
    """From the head alone; empty when it cannot be read."""
    begin = len(_MAGIC) + _LENGTH
    try:
        with path.open("rb") as file:
            start = file.read(begin)
            if start[: len(_MAGIC)] != _MAGIC:
                return []
            length = min(int.from_bytes(start[len(_MAGIC) :], "big"), os.fstat(file.fileno()).st_size)
            return msgspec.msgpack.decode(file.read(length), type=Head).taken
    except (OSError, msgspec.DecodeError):
        return []


def _place(path: Path) -> Place | None:
    found = _NAME.fullmatch(path.name)
    return None if found is None else Place(int(found[1]), int(found[2]), found[3] == "done")
