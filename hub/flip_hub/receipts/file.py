"""A run's receipts as a file that anybody can check: a head, the entries of the chain, the hub's seal, a line each."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from flip_hub.receipts.chain import ReceiptEntry, ReceiptSeal
from flip_hub.receipts.verification import Broken, Verification
from flip_runtime.errors import ConfigError, Rejected
from flip_wire.fleet import DeviceId

_LONGEST = 2**20
"""Bytes of a line."""


class Head(Struct, frozen=True, kw_only=True, tag="head"):
    format: Literal["flip-receipts-1"] = "flip-receipts-1"
    run_id: str


class Chained(Struct, frozen=True, kw_only=True, tag="entry"):
    entry: ReceiptEntry


class Closed(Struct, frozen=True, kw_only=True, tag="seal"):
    seal: ReceiptSeal


Line = Head | Chained | Closed


class Verdict(Struct, frozen=True, kw_only=True):
    run_id: str
    entries: int
    """As far as the chain is whole."""
    signed: int
    """Of these, with a device's good signature."""
    final: bool
    """Whether the run had ended when it was sealed."""
    broken: Broken | None


def lines_of(entries: Iterable[ReceiptEntry], seal: ReceiptSeal) -> Iterator[Line]:
    yield Head(run_id=seal.run_id)
    yield from (Chained(entry=entry) for entry in entries)
    yield Closed(seal=seal)


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Raises `ConfigError` when it cannot be written."""
    try:
        with path.open("wb") as file:
            file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another --out") from error


def read_lines(path: Path) -> Iterator[Line | None]:
    """None in place of a line that is none. Raises `ConfigError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            while content := file.readline(_LONGEST):
                yield _read(content)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def verify(lines: Iterable[Line | None], keys: Mapping[DeviceId, str] | None = None, hub_key: str = "") -> Verdict:
    """`keys` and `hub_key` as `Verification`. Raises `Rejected` when they do not begin as such a file."""
    following = iter(lines)
    head = next(following, None)
    if not isinstance(head, Head):
        raise Rejected("these are no receipts", hint="write them: flip-hub runs receipts ID --out FILE")
    chain, seal, broken = Verification(head.run_id, keys, hub_key), None, None
    for line in following:
        if isinstance(line, Chained) and seal is None:
            broken = chain.take(line.entry)
        elif isinstance(line, Closed) and seal is None:
            seal = line.seal
        else:
            broken = Broken(seq=chain.end.seq + 1, what=f"after entry {chain.end.seq} stands a line that is no entry")
        if broken is not None:
            break
    broken = broken or chain.finish(seal)
    final = seal is not None and seal.final
    return Verdict(run_id=head.run_id, entries=chain.end.seq, signed=chain.signed, final=final, broken=broken)


def _read(content: bytes) -> Line | None:
    try:
        return msgspec.json.decode(content, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
