"""What `GET /metrics` gives, and the token that Prometheus may show for it."""

from flip_hub.observability.census import Census
from flip_hub.observability.metrics import Metrics
from flip_hub.observability.prometheus import exposition


class Exposed:
    def __init__(self, metrics: Metrics, census: Census, token: str) -> None:
        """`token`: empty when there is none."""
        self._metrics = metrics
        self._census = census
        self.token = token

    async def text(self) -> bytes:
        await self._census.refresh()
        return exposition(self._metrics)
