"""What a person sees: steps, one bar per run, one line per round. Without a terminal the same facts, line by line."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from flip_hub.devices.schemas import Device
from flip_hub.federation.schemas import Round, Run, RunDetail


class Display:
    def __init__(self) -> None:
        # Standard error keeps standard output for the one JSON line of `--check`.
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def step(self, text: str) -> None:
        self.console.print(f"[bold cyan]→[/] {text}")

    def done(self, text: str) -> None:
        self.console.print(f"[bold green]✓[/] {text}")

    def failed(self, text: str) -> None:
        self.console.print(f"[bold red]✗[/] {text}", markup=True)

    def plain(self, text: str = "") -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def run(self, devices: Sequence[Device]) -> Generator["RunDisplay"]:
        """Shows one run; `update` may be called as often as one likes."""
        columns = [
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("[bold]{task.description}[/]"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
        ]
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as progress:
            yield RunDisplay(self, progress, devices)


class RunDisplay:
    def __init__(self, display: Display, progress: Progress, devices: Sequence[Device]) -> None:
        self._display = display
        self._progress = progress
        self._names = {device.id: device.name for device in devices}
        self._bar = progress.add_task("run", total=None, detail="waiting for the app to start")
        self._printed = 0
        self._message = ""

    def update(self, detail: RunDetail) -> None:
        run = detail.run
        finished = [each for each in detail.rounds if each.finished_at is not None]
        for each in finished[self._printed :]:
            self._display.plain(f"  {self._round_line(run, each)}")
        self._printed = len(finished)
        if run.warning and run.warning != self._message:
            self._message = run.warning
            self._display.plain(f"  {run.warning}")
        self._progress.update(
            self._bar,
            description=run.app,
            total=run.rounds,
            completed=len(finished),
            detail=self._now(run, detail.rounds, finished),
        )

    def _now(self, run: Run, rounds: Sequence[Round], finished: Sequence[Round]) -> str:
        parts: list[str] = []
        if run.eta is not None and run.finished_at is None:
            parts.append(f"ETA {run.eta:.0f} s")
        if finished:
            parts.append(_metrics(finished[-1]))
        if rounds and rounds[-1].finished_at is None:
            parts.append(f"round {rounds[-1].round}: {self._answers(rounds[-1])}")
        return "  ".join(parts)

    def _round_line(self, run: Run, each: Round) -> str:
        took = (each.finished_at or each.started_at) - each.started_at
        return f"round {each.round:>2}/{run.rounds or '?'}  {_metrics(each)}  {self._answers(each)}  {took:.1f} s"

    def _answers(self, each: Round) -> str:
        """● answered, ○ not yet, ✗ failed; in the order of the devices' names."""
        failed = {failure.device_id for failure in each.failures}
        answered = set(each.answered)
        names = {device: self._names.get(device, device) for device in each.sampled}
        return " ".join(
            f"{'✗' if device in failed else '●' if device in answered else '○'} {name}"
            for device, name in sorted(names.items(), key=lambda item: item[1])
        )


def _metrics(each: Round) -> str:
    loss = each.evaluate_metrics.get("loss", each.train_metrics.get("loss"))
    accuracy = each.evaluate_metrics.get("accuracy")
    shown = [("loss", loss, "{:.3f}"), ("accuracy", accuracy, "{:.3f}")]
    return "  ".join(f"{name} {form.format(value)}" for name, value, form in shown if value is not None)
