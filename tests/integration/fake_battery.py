"""A battery as the kernel shows it below `sys`, for an agent whose `agent.machine` is that folder."""

from pathlib import Path


class Battery:
    def __init__(self, machine: Path) -> None:
        self._supply = machine / "sys/class/power_supply/BAT0"
        self._supply.mkdir(parents=True)
        (self._supply / "type").write_text("Battery\n")
        (self._supply / "status").write_text("Discharging\n")
        self.charge(90)

    def charge(self, percent: int) -> None:
        part = self._supply / "part"
        part.write_text(f"{percent}\n")
        part.rename(self._supply / "capacity")
