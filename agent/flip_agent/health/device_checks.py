"""Which checks there are: for a device at rest (`flip-agent doctor`), and what the running daemon adds."""

import time
from collections.abc import Callable

from flip_agent.health.checks import data_folder, disk, hub, machine, models
from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import (
    CONFIG_REFUSED,
    NETWORK_USED_UP,
    SAFE_MODE,
    SERVE_FAILS,
    TRAIN_FAILS,
    TRAINING_HELD,
)
from flip_agent.health.hardware import Hardware
from flip_agent.hub.link import HubLink
from flip_agent.inference_peers import InferencePeers
from flip_agent.models.store import ModelStore
from flip_agent.reported import Reported
from flip_agent.settings import Settings
from flip_agent.start_counter import Mode
from flip_agent.watched import Watched
from flip_runtime.errors import FlipError
from flip_wire.fleet import DesiredState


def machine_checks(settings: Callable[[], Settings], hardware: Hardware, desired: Watched[DesiredState]) -> list[Check]:
    """`settings`: those that hold now."""
    state = settings().agent.state

    def collect() -> int:
        return _collect(ModelStore(state / "models"), desired.value)

    return [
        disk.disk_space(state, collect),
        disk.inodes(state, collect),
        machine.memory(hardware),
        machine.temperature(hardware, lambda: settings().governor.temperature_max),
        data_folder.data_folder(lambda: settings().federation.node_config),
    ]


def daemon_checks(
    settings: Callable[[], Settings],
    link: HubLink,
    desired: Watched[DesiredState],
    reported: Reported,
    inference: InferencePeers,
    refused: Watched[str],
    failing: Callable[[str], str],
    used_up: Watched[str],
) -> list[Check]:
    """`settings`: those that hold now; `refused`: what is wrong with the changed configuration; `failing`: with the
    child process of that name; `used_up`: why no more bytes may pass today."""

    return [
        Check(SAFE_MODE, lambda: _reduced(reported)),
        Check(CONFIG_REFUSED, lambda: refused.value),
        hub.hub(link),
        hub.clock(link),
        Check(SERVE_FAILS, lambda: failing("serve")),
        Check(TRAIN_FAILS, lambda: failing("train")),
        models.inference(lambda: inference.missing),
        models.rollout(lambda: reported.state.value),
        models.parts(lambda: reported.state.value),
        models.freshness(
            lambda: desired.value,
            lambda: reported.state.value,
            lambda: settings().inference.stale_after,
            time.time,
        ),
        Check(TRAINING_HELD, lambda: reported.state.value.held_because if desired.value.work else ""),
        Check(NETWORK_USED_UP, lambda: used_up.value),
    ]


def _reduced(reported: Reported) -> str:
    match reported.state.value.mode:
        case Mode.REDUCED:
            return "it failed three times in a row: no training, no serving, no new versions"
        case Mode.SAFE:
            return "it failed five times in a row: heartbeat, earlier versions and doctor only"
        case _:
            return ""


def _collect(store: ModelStore, desired: DesiredState) -> int:
    """A manifest that cannot be read keeps everything: then a file may be one of its own."""
    try:
        return store.collect({wanted.manifest for wanted in desired.models})
    except (FlipError, OSError):
        return 0
