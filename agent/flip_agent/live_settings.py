"""The settings that a running agent takes over when its configuration is read again (SIGHUP).

A file that cannot be used changes nothing, and a condition says so; what needs a restart is named in the log.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from flip_agent.settings import GovernorSection, Settings
from flip_agent.watched import Watched
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError
from flip_runtime.logs import configure_logs

log = logging.getLogger(__name__)

LIVE = frozenset({"agent.heartbeat", "governor", "logs"})
"""Keys, and whole sections."""


class LiveSettings:
    def __init__(self, settings: Settings, config: Path | None) -> None:
        self._settings = settings
        self._config = config
        self.heartbeat: Watched[float] = Watched(settings.agent.heartbeat)
        self.governor: Watched[GovernorSection] = Watched(settings.governor)
        self.refused = Watched("")
        """What is wrong with the configuration as it is now."""

    def reload(self) -> None:
        try:
            after = load_config(Settings, self._config)
        except ConfigError as error:
            self.refused.set(str(error))
            log.error("configuration refused, the earlier one goes on", extra={"reason": str(error)})
            return
        self.refused.set("")
        applied, waiting = changed_keys(self._settings, after)
        if after.logs != self._settings.logs:
            configure_logs(json=after.logs.json, level=after.logs.level)
        self.heartbeat.set(after.agent.heartbeat)
        self.governor.set(after.governor)
        # what waits for a restart still differs at the next reload
        live = {"agent": msgspec.structs.replace(self._settings.agent, heartbeat=after.agent.heartbeat)}
        self._settings = msgspec.structs.replace(self._settings, governor=after.governor, logs=after.logs, **live)
        log.info("configuration read again", extra={"applied": _listed(applied), "needs_restart": _listed(waiting)})


def changed_keys(before: Settings, after: Settings) -> tuple[list[str], list[str]]:
    """Those that are applied, and those that need a restart, as `section.key`."""
    keys = list(_differences(before, after))
    live = [key for key in keys if key in LIVE or key.partition(".")[0] in LIVE]
    return live, [key for key in keys if key not in live]


def _differences(before: Settings, after: Settings) -> Iterator[str]:
    for section in msgspec.structs.fields(Settings):
        old, new = getattr(before, section.name), getattr(after, section.name)
        for key in msgspec.structs.fields(type(old)):
            if getattr(old, key.name) != getattr(new, key.name):
                yield f"{section.name}.{key.encode_name}"


def _listed(keys: list[str]) -> str:
    return ",".join(keys) or "nothing"
