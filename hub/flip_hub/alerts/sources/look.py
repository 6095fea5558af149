"""One look at everything that the rules need."""

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from flip_hub.alerts.facts import Facts, HubFacts
from flip_hub.alerts.rules import RECENTLY
from flip_hub.alerts.sources.chain import ChainWatch
from flip_hub.alerts.sources.store import SourceStore
from flip_hub.tls import ServerCertificate
from flip_runtime.errors import ConfigError


class Starts:
    """How often the SuperLink has been started lately; `ready` and `boots` are asked at each look."""

    def __init__(self, ready: Callable[[], bool], boots: Callable[[], int]) -> None:
        self.ready = ready
        self._boots = boots
        self._seen: deque[tuple[float, int]] = deque()

    def lately(self, now: float) -> int:
        """In the last quarter of an hour, beside the first one of this process."""
        boots = max(1, self._boots())
        self._seen.append((now, boots))
        while self._seen[0][0] < now - RECENTLY:
            self._seen.popleft()
        return boots - self._seen[0][1]


class Sources:
    def __init__(
        self,
        store: SourceStore,
        state: Path,
        certificates: Mapping[str, ServerCertificate],
        superlink: Starts,
        chain: ChainWatch,
    ) -> None:
        self._store = store
        self._state = state
        self._certificates = dict(certificates)
        self._superlink = superlink
        self._chain = chain

    async def look(self) -> Facts:
        """Raises `DatabaseDown`."""
        now, store = time.time(), self._store
        losses, rollbacks = await store.losses(now), await store.rollbacks(now)
        return Facts(
            now=now,
            devices=await store.devices(now),
            names=await store.named(sorted({told.device_id for told in (*losses, *rollbacks)})),
            losses=losses,
            rollbacks=rollbacks,
            rollouts=await store.rollouts(now),
            runs=await store.runs(now),
            tokens=await store.tokens(now),
            hub=HubFacts(
                disk_free=shutil.disk_usage(self._state).free,
                certificates={section: _ends(each) for section, each in self._certificates.items()},
                superlink_ready=self._superlink.ready(),
                superlink_starts=self._superlink.lately(now),
                refused_logins=await store.refused_logins(now),
                audit_broken=await self._chain.look(),
            ),
        )


def _ends(certificate: ServerCertificate) -> float:
    """One that cannot be read is as good as ended."""
    try:
        return certificate.expires_at()
    except ConfigError:
        return 0.0
