"""What the host disturbed is measured again; when it never stops, the least disturbed measurement counts."""

from collections.abc import Iterator

import pytest

from bench import calm

pytestmark = pytest.mark.asyncio


class Machine:
    """Ten seconds of each processor for a measurement, of which the host takes so many hundredths in turn."""

    def __init__(self, *stolen: int) -> None:
        self._stolen: Iterator[int] = iter(stolen)
        self._times = [0] * 8
        self.measured: list[int] = []

    async def measure(self) -> int:
        stolen = next(self._stolen)
        self._times[0] += 1000 - 10 * stolen
        self._times[7] += 10 * stolen
        self.measured.append(stolen)
        return stolen

    def times(self) -> list[int]:
        return list(self._times)


@pytest.mark.parametrize(
    ("stolen", "found", "measured"),
    [((0,), 0, 1), ((3,), 3, 1), ((20, 1), 1, 2), ((20, 5, 9), 5, 3)],
)
async def test_the_first_undisturbed_measurement_counts_or_the_least_disturbed_of_three(
    monkeypatch: pytest.MonkeyPatch, stolen: tuple[int, ...], found: int, measured: int
) -> None:
    machine = Machine(*stolen)
    monkeypatch.setattr(calm, "_times", machine.times)
    assert await calm.undisturbed(machine.measure) == found
    assert len(machine.measured) == measured


async def test_this_machine_tells_what_was_taken_from_it() -> None:
    async def measure() -> str:
        return "measured"

    assert await calm.undisturbed(measure) == "measured"
