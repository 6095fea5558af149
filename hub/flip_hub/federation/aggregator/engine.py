"""What surrounds one ServerApp, put together: its Grid, its rounds and its checkpoints, as the hub's brief says."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from flwr.app import ArrayRecord
from flwr.serverapp import Grid
from msgspec import Struct

from flip_hub.federation.aggregator.beginning import arrays_of_version, checkpoint_to_begin_after
from flip_hub.federation.aggregator.choice import chosen_by
from flip_hub.federation.aggregator.clock import Clock
from flip_hub.federation.aggregator.evaluation import evaluation_of, tell_dataset
from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.hub_line import HubLine
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.aggregator.kept_late import KeptLate
from flip_hub.federation.aggregator.privacy.asked import Asked
from flip_hub.federation.aggregator.privacy.ledger import Ledger
from flip_hub.federation.aggregator.progress_reports import ProgressReports, Send
from flip_hub.federation.aggregator.roster import Roster
from flip_hub.federation.aggregator.rounds import Conductor
from flip_hub.federation.aggregator.saved import Saved
from flip_hub.federation.aggregator.secure.rounds import SecureRounds
from flip_hub.federation.aggregator.spool import Spool
from flip_hub.federation.aggregator.versions import VersionMaker
from flip_hub.federation.brief import Brief, NodeFacts
from flip_hub.federation.journal import Journal
from flip_hub.federation.plan import Plan
from flip_hub.federation.privacy.on_devices import on_devices
from flip_hub.federation.secure.rules import strangers


class Hub(Struct, frozen=True, kw_only=True):
    """The hub that this process belongs to."""

    socket: Path
    secret_file: Path
    patience: float
    """Seconds that a call is tried."""
    runs: Path
    """The folder of all runs."""
    flower_run_id: int

    def line(self) -> HubLine:
        return HubLine(self.socket, self.secret_file)


class Engine:
    def __init__(self, hub: Hub, send: Send, app_folder: Path, grid: Grid, clock: Clock) -> None:
        """Returns when no other ServerApp of this run lives. Raises `Unavailable` or `Rejected` without a brief."""
        self._hub = hub
        self._line = hub.line()
        self.brief = self._line.ask(f"{self._path}/brief", Brief, within=hub.patience)
        plan = self.brief.plan
        self._journal = Journal(hub.runs / self.brief.run_id)
        on_them, secure = on_devices(plan.privacy), plan.secure is not None
        roster = Roster(self._facts, plan.rounds.wait, clock.now, strangers=strangers(plan))
        spool = Spool(self._journal.folder)
        begin = checkpoint_to_begin_after(hub.runs, plan.start)
        saved = Saved(self._journal, begin, private=plan.privacy is not None)
        instructions = Instructions(self.brief.run_id, plan.update, plan.local, on_them, secure=secure, spool=spool)
        self.grid = RoundGrid(
            grid,
            self._journal,
            send,
            roster,
            instructions,
            plan.rounds,
            folding=plan.folding,
            in_rounds=_in_rounds(plan),
            spool=spool,
            kept_late=KeptLate(self._line, self._path, spool, saved.given_in) if self.brief.goes_on else None,
            clock=clock,
        )
        tell_dataset(self._dataset())
        self._conductor = Conductor(
            self.grid,
            saved,
            ProgressReports(send, VersionMaker(app_folder, plan.local, spool)),
            self.brief.seed,
            chosen_by(plan),
            first=self._first,
            evaluate=evaluation_of(app_folder),
            ledger=self._ledger(send),
            secure=self._secure(send),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()
        with self._line:
            pass

    def conducting(self) -> AbstractContextManager[None]:
        return self._conductor.conducting()

    @property
    def _path(self) -> str:
        return f"/internal/v1/runs/{self._hub.flower_run_id}"

    def _facts(self) -> Mapping[int, NodeFacts]:
        found = self._line.ask(f"{self._path}/nodes", list[NodeFacts], within=self._hub.patience)
        return {int(facts.node): facts for facts in found}

    def _dataset(self) -> Path | None:
        """The plan's, in the run's folder."""
        if not self.brief.plan.dataset:
            return None
        path = self._journal.folder / "dataset"
        if not path.exists():
            self._line.save(f"{self._path}/dataset", path, within=self._hub.patience)
        return path

    def _ledger(self, send: Send) -> Ledger | None:
        plan = self.brief.plan
        if plan.privacy is None:
            return None
        asked = None if plan.secure is None else Asked(self._journal.folder)
        return Ledger(plan.privacy, self.brief.releases, send, local=plan.local, refuse=self.grid.refuse, asked=asked)

    def _secure(self, send: Send) -> SecureRounds | None:
        plan, run_id = self.brief.plan, self.brief.run_id
        if plan.secure is None:
            return None
        folder = self._journal.folder
        return SecureRounds(run_id, plan.secure, self.grid, send, folder, rules=plan.rounds, local=plan.local)

    def _first(self, arrays: ArrayRecord) -> ArrayRecord:
        """What the run begins with. Raises `Rejected` when the model of the plan does not fit the app's."""
        if not self.brief.weights:
            return arrays
        content = self._line.fetch(f"/internal/v1/artifacts/{self.brief.weights}", within=self._hub.patience)
        return arrays_of_version(content, arrays)


def _in_rounds(plan: Plan) -> str:
    """The field for which devices may be asked in rounds alone; empty: none is."""
    if plan.secure is not None:
        return "plan.secure"
    return "" if plan.privacy is None else "plan.privacy"
