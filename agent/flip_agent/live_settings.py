"""The settings that a running agent takes over when its configuration is read again (SIGHUP).

A file that cannot be used changes nothing, and a condition says so. The log names what is applied, what `serve` and
`train` go by from their next start on (they read the file themselves), and what needs a restart.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, fields, replace

from flip_agent.instances import Instances
from flip_agent.settings import GovernorSection, Settings
from flip_agent.watched import Watched
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError
from flip_runtime.logs import configure_logs

log = logging.getLogger(__name__)

LIVE = frozenset(
    {
        *("agent.heartbeat", "governor", "inference.stale_after", "logs", "network"),
        *("models.download_budget", "models.trusted_keys"),
    }
)
"""Keys, and whole sections."""
OF_CHILDREN = frozenset({"federation", "inference", "models", "samples"})
"""The other keys of these sections are for `serve` and `train`."""

OF_RUN = frozenset({"inference.instances"})
"""But for these: `run` itself goes by them, from its own start on."""


class Changes(Struct, frozen=True, kw_only=True):
    """Keys as `section.key`, by when they hold."""

    applied: list[str]
    at_next_start: list[str]
    """Of `serve` or `train`."""
    needs_restart: list[str]


class LiveSettings:
    def __init__(self, settings: Settings, config: Path | None) -> None:
        self.now = settings
        """What holds, for a child from its next start on; a change that needs a restart is not in it."""
        self._config = config
        self.heartbeat: Watched[float] = Watched(settings.agent.heartbeat)
        self.governor: Watched[GovernorSection] = Watched(settings.governor)
        self.refused = Watched("")
        """What is wrong with the configuration as it is now."""

    def reload(self) -> None:
        try:
            after = load_config(Settings, self._config)
            Instances(after.inference)
        except ConfigError as error:
            self.refused.set(str(error))
            log.error("configuration refused, the earlier one goes on", extra={"reason": str(error)})
            return
        self.refused.set("")
        changes = changed_keys(self.now, after)
        if after.logs != self.now.logs:
            configure_logs(json=after.logs.json, level=after.logs.level)
        self.heartbeat.set(after.agent.heartbeat)
        self.governor.set(after.governor)
        # what waits for a restart still differs at the next reload
        agent, outbox = replace(self.now.agent, heartbeat=after.agent.heartbeat), self.now.outbox
        inference = replace(after.inference, instances=self.now.inference.instances)
        self.now = replace(after, agent=agent, outbox=outbox, inference=inference)
        told = {name: ",".join(keys) or "nothing" for name, keys in asdict(changes).items()}
        log.info("configuration read again", extra=told)


def changed_keys(before: Settings, after: Settings) -> Changes:
    changes = Changes(applied=[], at_next_start=[], needs_restart=[])
    for key in _differences(before, after):
        section = key.partition(".")[0]
        if key in LIVE or section in LIVE:
            changes.applied.append(key)
        elif section in OF_CHILDREN and key not in OF_RUN:
            changes.at_next_start.append(key)
        else:
            changes.needs_restart.append(key)
    return changes


def _differences(before: Settings, after: Settings) -> Iterator[str]:
    for section in fields(Settings):
        old, new = getattr(before, section.name), getattr(after, section.name)
        for key in fields(type(old)):
            if getattr(old, key.name) != getattr(new, key.name):
                yield f"{section.name}.{key.encode_name}"
