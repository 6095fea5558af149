"""How far each action is, on the disk before anything is done: so a finished one is never done again, whatever cut the
power in between.

The hub names an action until it knows its result. What it does not name any more is forgotten, but for its id.
"""

import logging
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_runtime.atomic import write_file
from flip_runtime.errors import Unavailable
from flip_wire.actions import Action, ActionId, ActionResult

log = logging.getLogger(__name__)

FILE = "actions.json"
_REMEMBERED = 64
"""Ids of actions that are over, in case they were named again."""


class Entry(Struct, frozen=True, kw_only=True):
    action: Action
    result: ActionResult | None = None
    """None: it was begun."""
    told: bool = False
    """The result is in the outbox."""


class _Kept(Struct, frozen=True, kw_only=True):
    entries: dict[ActionId, Entry] = {}
    over: list[ActionId] = []


class ActionLedger:
    """Every change raises `Unavailable`, and nothing has changed, when it cannot be written."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self.damaged = False
        """What was done before is not known."""
        self._kept = self._read()

    @property
    def entries(self) -> list[Entry]:
        return list(self._kept.entries.values())

    def knows(self, action_id: ActionId) -> bool:
        return action_id in self._kept.entries or action_id in self._kept.over

    def begin(self, action: Action) -> None:
        self._save(entries={**self._kept.entries, action.id: Entry(action=action)})

    def finish(self, action: Action, result: ActionResult) -> None:
        self._save(entries={**self._kept.entries, action.id: Entry(action=action, result=result)})

    def mark_told(self, action_id: ActionId) -> None:
        """The log of its result is not kept any longer."""
        entry = self._kept.entries[action_id]
        assert entry.result is not None
        slim = replace(entry, told=True, result=replace(entry.result, log=b""))
        self._save(entries={**self._kept.entries, action_id: slim})

    def forget_all_but(self, named: Collection[ActionId]) -> None:
        """What was told and is not named any more."""
        gone = [known for known, entry in self._kept.entries.items() if entry.told and known not in named]
        if gone:
            left = {known: entry for known, entry in self._kept.entries.items() if known not in gone}
            self._save(entries=left, over=[*self._kept.over, *gone][-_REMEMBERED:])

    def _save(self, *, entries: dict[ActionId, Entry], over: list[ActionId] | None = None) -> None:
        kept = _Kept(entries=entries, over=self._kept.over if over is None else over)
        try:
            write_file(self._path, msgspec.json.encode(kept))
        except OSError as error:
            raise Unavailable(f"cannot write {self._path}: {error.strerror}", hint="make room on the disk") from error
        self._kept = kept

    def _read(self) -> _Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept()
        except (OSError, ValueError) as error:  # also of text that is no UTF-8
            log.warning("it is not known which actions were done", extra={"file": str(self._path), "error": str(error)})
            self.damaged = True
            return _Kept()
