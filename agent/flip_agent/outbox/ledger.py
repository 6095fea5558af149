"""The outbox's accounts: what was numbered, what still waits, what was dropped and is not declared yet.

They are one small row, written in the transaction of the change they tell of, with a checksum of its own. So they can
be trusted where the events cannot: events that the disk has lost are those that the ledger still counts.
"""

import uuid

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_wire.telemetry import Gap, Priority, Seq

GAPS = 32
"""Kinds of losses told apart; further ones are added up."""
OTHER_REASONS = "other reasons"
_REASON = 200
"""Characters."""


class Account(Struct, frozen=True, kw_only=True):
    """Of one class."""

    acked: Seq = Seq(0)
    """The hub has, or was refused, or was told of the loss of, everything up to this number."""
    waiting: int = 0


class Ledger(Struct, frozen=True, kw_only=True):
    epoch: str
    next_seq: Seq = Seq(1)
    dropped: int = 0
    """Since the outbox was made, over all its files."""
    accounts: tuple[Account, Account, Account, Account] = (Account(), Account(), Account(), Account())
    """By priority."""
    gaps: tuple[Gap, ...] = ()

    @property
    def waiting(self) -> int:
        return sum(account.waiting for account in self.accounts)

    def of(self, priority: Priority) -> Account:
        return self.accounts[priority]

    def added(self, priority: Priority, count: int) -> "Ledger":
        """The next `count` numbers are events of that class."""
        account = self.of(priority)
        numbered = replace(self, next_seq=Seq(self.next_seq + count))
        return numbered._with(priority, replace(account, waiting=account.waiting + count))

    def removed(self, priority: Priority, count: int, *, up_to: Seq | None = None) -> "Ledger":
        """So many no longer wait; with `up_to` nothing at or below it is given out again."""
        account = self.of(priority)
        acked = account.acked if up_to is None else max(account.acked, up_to)
        return self._with(priority, Account(acked=acked, waiting=max(0, account.waiting - count)))

    def lost(self, gap: Gap) -> "Ledger":
        """To be declared; losses of one class and reason are added up."""
        gap = replace(gap, reason=gap.reason[:_REASON])
        known = {(each.priority, each.reason): each for each in self.gaps}
        if len(known) >= GAPS and (gap.priority, gap.reason) not in known:
            gap = replace(gap, reason=OTHER_REASONS)
        known[gap.priority, gap.reason] = _sum(known.get((gap.priority, gap.reason)), gap)
        return replace(self, dropped=self.dropped + gap.count, gaps=tuple(known.values()))

    def skipped(self, priority: Priority, count: int, reason: str) -> "Ledger":
        """The next `count` numbers went to events that found no place."""
        last = Seq(self.next_seq + count - 1)
        gap = Gap(priority=priority, first=self.next_seq, last=last, count=count, reason=reason)
        return replace(self, next_seq=Seq(last + 1)).lost(gap)

    def declared(self) -> "Ledger":
        """The gaps have become events."""
        return replace(self, gaps=())

    def vanished(self, priority: Priority, reason: str) -> "Ledger":
        """Everything that waits in that class is no longer there."""
        account, last = self.of(priority), Seq(self.next_seq - 1)
        gap = Gap(priority=priority, first=Seq(account.acked + 1), last=last, count=account.waiting, reason=reason)
        return self.removed(priority, account.waiting, up_to=last).lost(gap)

    def successor(self, reason: str) -> "Ledger":
        """Of a new file, after this one's was lost with all that waits in it.

        Its numbers go on: an answer of the hub that is still on its way to this file's events takes none of the new.
        """
        ledger = self
        for priority in Priority:
            if self.of(priority).waiting:
                ledger = ledger.vanished(priority, reason)
        return replace(new_ledger(), next_seq=ledger.next_seq, dropped=ledger.dropped, gaps=ledger.gaps)

    def _with(self, priority: Priority, account: Account) -> "Ledger":
        accounts = list(self.accounts)
        accounts[priority] = account
        return msgspec.structs.replace(self, accounts=tuple(accounts))


def new_ledger() -> Ledger:
    return Ledger(epoch=str(uuid.uuid4()))


def _sum(known: Gap | None, gap: Gap) -> Gap:
    if known is None:
        return gap
    first, last = min(known.first, gap.first), max(known.last, gap.last)
    return replace(gap, first=first, last=last, count=known.count + gap.count)
