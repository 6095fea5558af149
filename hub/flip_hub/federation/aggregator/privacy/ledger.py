"""The account of a private run, over all strategies that its ServerApp starts, one after another."""

from collections.abc import Callable, Sequence

from flwr.serverapp.strategy import Strategy

from flip_hub.federation.aggregator.privacy.asked import Asked
from flip_hub.federation.aggregator.privacy.strategy import Private, Refuse, private
from flip_hub.federation.privacy.schemas import Privacy, Release
from flip_hub.federation.schemas import Released


class Ledger:
    def __init__(
        self,
        privacy: Privacy,
        releases: Sequence[Release],
        send: Callable[[Released], None],
        *,
        local: Sequence[str] = (),
        refuse: Refuse = lambda *_: None,
        asked: Asked | None = None,
    ) -> None:
        """`releases`: that the hub knows of; `asked`: where devices that are asked again send something else than
        before; the others as `private` says. Raises `Corrupt`."""
        self._privacy = privacy
        self._releases = list(releases) if asked is None else _larger(releases, asked.known())
        self._asked = asked
        self._send = send
        self._local = local
        self._refuse = refuse
        self._strategy: Private | None = None

    def private(self, strategy: Strategy) -> Private:
        """Raises `Rejected` when that cannot be."""
        if self._strategy is not None:
            self._releases = self._strategy.state()
        self._strategy = private(strategy, self._privacy, self._releases, local=self._local, refuse=self._refuse)
        if self._asked is not None:
            self._strategy.asked = self._asked.keep
        return self._strategy

    def begin(self, rounds: int) -> None:
        """Before the first of so many. Raises `Rejected` when the budget does not pay for them."""
        if self._strategy is not None:
            self._strategy.need_budget(rounds)
            self.tell(rounds)

    def tell(self, rounds: int) -> None:
        """Once a checkpoint holds what is spent; so many rounds are to come."""
        if self._strategy is not None:
            self._send(Released(privacy=self._strategy.spent(rounds)))


def _larger(*known: Sequence[Release]) -> list[Release]:
    """Of each multiplier the larger count."""
    counts: dict[float, int] = {}
    for each in (release for some in known for release in some):
        counts[each.noise_multiplier] = max(counts.get(each.noise_multiplier, 0), each.times)
    return [Release(noise_multiplier=multiplier, times=times) for multiplier, times in counts.items()]
