"""`samples.db`: predictions, the truth about them, and samples to train on. `flip-agent serve` alone opens it.

What a change wrote is on the disk when it ends, its accounts included (`schema`). A sample that the disk has damaged is
never given out: each carries a checksum, and is dropped and counted where it is found.
"""

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from sqlite3 import Connection
from zlib import crc32

import msgspec
from msgspec import Struct

from flip_agent.durable_file import DurableFile
from flip_agent.feedback import schema as sql
from flip_agent.feedback.accounts import Accounts
from flip_agent.feedback.change import Change, checksum
from flip_agent.feedback.messages import ModelSamples, SamplesStatus
from flip_agent.feedback.retention import drop_expired
from flip_runtime.errors import Corrupt

_PAGE_ROWS = 8192
_PAGE_BYTES = 4 * 2**20


class Span(Struct, frozen=True, kw_only=True):
    """Samples of one form, by number and age."""

    model: str
    form: str
    since: float
    after: int
    until: int


class Sample(Struct, frozen=True):
    number: int
    at: float
    from_feedback: bool
    label: bytes
    inputs: bytes


class SampleFile:
    def __init__(
        self, path: Path, max_bytes: int, max_age: float, clock: Callable[[], float], accounts: Accounts | None = None
    ) -> None:
        """`accounts`: of a damaged file that this one takes the place of. Raises `Corrupt`, `Full` or `Unavailable`."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._clock = clock
        self._file = DurableFile(path, sql.SCHEMA, version=sql.VERSION, max_bytes=max_bytes)
        self.accounts = accounts or Accounts()
        try:
            if accounts is None:
                self.accounts = self._read_accounts()
            else:
                with self.change():
                    pass
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    @contextlib.contextmanager
    def change(self, size: int = 0) -> Generator[Change]:
        """All or nothing. Room for `size` bytes is made before, of what is oldest. Raises `Full`, `Unavailable` or
        `Corrupt`."""
        with self._file.transaction() as db:
            change = Change(db, self.accounts, self._clock(), self._max_bytes)
            if size:
                change.make_room(size)
            yield change
            _write_accounts(db, change.accounts)
        self.accounts = change.accounts

    def drop_expired(self) -> None:
        with self.change() as change:
            change.accounts = drop_expired(change.db, change.accounts, self._clock() - self._max_age)

    # ---- reading ----

    def status(self) -> SamplesStatus:
        known = self.accounts
        return SamplesStatus(
            samples=known.samples,
            predictions=known.predictions,
            feedback=known.feedback,
            file_bytes=sum(part.stat().st_size for part in (self._path, self._log) if part.exists()),
            max_bytes=self._max_bytes,
            models=[ModelSamples(model=m, samples=n, from_feedback=f) for m, n, f in self._file.rows(sql.BY_MODEL)],
            lost=known.lost,
        )

    def outcomes(self, model: str, version: int, limit: int) -> list[bool]:
        """Oldest first."""
        rows = self._file.rows(sql.OUTCOMES, (model, version, limit))
        return [bool(correct) for (correct,) in reversed(rows)]

    def span(self, model: str, newest: int | None, max_age: float | None) -> Span | None:
        """Those of the form that the newest sample has: a model's inputs may change."""
        found = self._file.row(sql.NEWEST_FORM, (model,))
        if found is None:
            return None
        (form,) = found
        since = self._clock() - min(self._max_age, max_age if max_age is not None else self._max_age)
        first = self._file.row(sql.BEGIN, (model, form, since, newest - 1)) if newest is not None else None
        (until,) = self._file.row(sql.END, (model,))
        return Span(model=model, form=form, since=since, after=first[0] - 1 if first else 0, until=until)

    def read(self, span: Span) -> tuple[list[Sample], bool]:
        """The first of them, about 4 MiB at most, and whether there may be more."""
        wanted = (span.model, span.form, span.since, span.after, span.until, _PAGE_ROWS)
        with self._file.transaction() as db:  # rows are read one at a time: they may be large
            found, damaged, more = _page(db, wanted, span.form)
        if damaged:
            with self.change() as change:
                change.drop_damaged(damaged)
        return found, more

    def _read_accounts(self) -> Accounts:
        row = self._file.row(sql.READ_ACCOUNT)
        if row is None:
            return Accounts()
        content, crc = row
        if not isinstance(content, bytes) or crc32(content) != crc:
            raise Corrupt(f"the accounts of {self._path} are damaged")
        return msgspec.json.decode(content, type=Accounts)


def _page(db: Connection, wanted: tuple[object, ...], form: str) -> tuple[list[Sample], list[tuple[int, int]], bool]:
    found, damaged, size, seen = list[Sample](), list[tuple[int, int]](), 0, 0
    for number, at, crc, length, from_feedback, label, inputs in db.execute(sql.PAGE, wanted):
        seen += 1
        if checksum(form, label, inputs) == crc:
            found.append(Sample(number, at, bool(from_feedback), label, inputs))
        else:
            damaged.append((number, length))
        size += length
        if size > _PAGE_BYTES:
            return found, damaged, True
    return found, damaged, seen == _PAGE_ROWS


def _write_accounts(db: Connection, accounts: Accounts) -> None:
    content = msgspec.json.encode(accounts)
    db.execute(sql.WRITE_ACCOUNT, (content, crc32(content)))
