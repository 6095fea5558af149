"""A small fleet in the middle of a day's work: what the browser tests show, in the hub's own Structs."""

import time
from typing import Final

import msgspec

from flip_hub.devices.schemas import Device, DeviceStatus, Difference
from flip_hub.federation.schemas import Phase, Round, RoundFailure, Run, RunStatus
from flip_hub.models.schemas import ModelVersion
from flip_wire.fleet import DesiredState, DeviceId, ReportedState, RolloutFailure, ServingModel
from flip_wire.health import Condition, HealthReport, NetworkUse, Severity
from flip_wire.inference import ModelTraffic
from flip_wire.models import FileRef, Manifest, ModelAssignment, Sha256

NOW: Final = time.time()
MINUTE: Final = 60.0
HOUR: Final = 3600.0
MODEL: Final = "digits"

RUNNING: Final = "run-5b1e77c09a3d"
FINISHED: Final = "run-91c2d04e6f18"
FAILED: Final = "run-0e4a6b8d2c71"
FLOWER: Final = "7311290055418231040"
"""Flower's number of the runs."""


def device_id(index: int) -> DeviceId:
    return DeviceId(f"dev-{0x3F9A_71C4_0000 + index * 7919:012x}")


AILING: Final = device_id(2)
"""The one whose page has everything on it."""


def sha(seed: str) -> Sha256:
    return Sha256((seed.encode().hex() * 64)[:64])


def devices() -> list[Device]:
    calm = health()
    refused = RolloutFailure(model=MODEL, version=5, reason="the probe's output differs by 0.013 (0.0001 is allowed)")
    return [
        device(0, "clinic-aarhus-02", DeviceStatus.OK, reported(4, "training"), calm, last_seen=NOW - 4),
        device(1, "clinic-aarhus-03", DeviceStatus.OK, reported(4, "delivering"), calm, last_seen=NOW - 11),
        device(
            2,
            "press-line-3",
            DeviceStatus.UNHEALTHY,
            msgspec.structs.replace(reported(4, "held"), failures=[refused], held_because="84 °C, limit 80"),
            ailing(),
            last_seen=NOW - 8,
            wanted=5,
        ),
        device(
            3,
            "orchard-gateway-with-a-long-name-07",
            DeviceStatus.UNKNOWN,
            reported(3, "waiting"),
            health(outbox_depth=18_240, outbox_oldest=NOW - 26 * HOUR, dropped=412),
            last_seen=NOW - 3.2 * HOUR,
        ),
        device(4, "ferry-bridge", DeviceStatus.OK, None, None, last_seen=NOW - 2, wanted=None),
        device(5, "bench-prototype", DeviceStatus.REVOKED, reported(1, "idle"), calm, last_seen=NOW - 9 * 24 * HOUR),
    ]


def device(
    index: int,
    name: str,
    status: DeviceStatus,
    state: ReportedState | None,
    report: HealthReport | None,
    *,
    last_seen: float,
    wanted: int | None = 4,
) -> Device:
    models = [] if wanted is None else [ModelAssignment(model=MODEL, version=wanted, manifest=sha("m"), size=1204)]
    return Device(
        id=device_id(index),
        name=name,
        status=status,
        enrolled_at=NOW - 30 * 24 * HOUR,
        enrolled_by="",
        last_seen=last_seen,
        agent_version="0.1.0",
        node_id=str(2**63 + index),
        desired=DesiredState(generation=12, models=models),
        reported=state,
        health=report,
        events_accepted=48_211 - index * 1_377,
        events_dropped=report.dropped if report else 0,
        differences=_differences(wanted, state),
        unknown_since=last_seen if status is DeviceStatus.UNKNOWN else None,
        wire_version=3,
        site="aarhus" if "aarhus" in name else "",
        tags=["lab", "gpu"] if "press" in name else [],
        groups=[],
        note="",
        clone=None,
    )


def _differences(wanted: int | None, state: ReportedState | None) -> list[Difference]:
    serving = {each.version for each in state.serving} if state else set[int]()
    if wanted is None or wanted in serving:
        return []
    failure = next(iter(state.failures if state else []), None)
    return [
        Difference(
            what="model",
            name=MODEL,
            wanted=str(wanted),
            reported=", ".join(map(str, serving)),
            since=NOW - HOUR,
            because=failure.reason if failure else "",
        )
    ]


def reported(version: int, training: str) -> ReportedState:
    serving = ServingModel(
        model=MODEL, version=version, since=NOW - 20 * MINUTE, url="http://127.0.0.1:8082/v2/models/digits"
    )
    return ReportedState(generation=12, agent_version="0.1.0", training=training, serving=[serving])


def health(
    *,
    outbox_depth: int = 3,
    outbox_oldest: float | None = None,
    dropped: int = 0,
    disk_free: int = 6 * 2**30,
    conditions: list[Condition] | None = None,
) -> HealthReport:
    return HealthReport(
        uptime=4.2 * 24 * HOUR,
        rss=29 * 2**20,
        load=0.41,
        disk_free=disk_free,
        outbox_depth=outbox_depth,
        outbox_oldest=outbox_oldest or NOW - 6,
        dropped=dropped,
        conditions=conditions or [],
    )


def ailing() -> HealthReport:
    """Of a device that is hot and has hardly any disk left."""
    disk = Condition(
        code="disk-low",
        title="Disk almost full",
        severity=Severity.CRITICAL,
        text="31 MiB free where the agent keeps its state (make room on the disk of agent.state)",
        since=NOW - 40 * MINUTE,
    )
    heat = Condition(
        code="temperature-high",
        title="The device is hot",
        severity=Severity.WARNING,
        text="84 °C (cool it; training waits above governor.temperature_max)",
        since=NOW - 12 * MINUTE,
    )
    clock = Condition(
        code="clock-wrong",
        title="The clock is off",
        severity=Severity.INFO,
        text="0.3 s ahead of the hub's (nothing to do: the hub's time is used)",
        since=NOW - 3 * MINUTE,
    )
    report = health(disk_free=31 * 2**20, dropped=1_874, conditions=[disk, heat, clock])
    return msgspec.structs.replace(
        report,
        temperature=84.2,
        memory_available=212 * 2**20,
        clock_offset=-0.34,
        inference=[traffic()],
        samples_lost={"samples_expired": 1204},
        network=NetworkUse(limit=50 * 2**20, left=12 * 2**20, passed={"telemetry": 8 * 2**20, "models": 30 * 2**20}),
    )


def traffic() -> ModelTraffic:
    return ModelTraffic(
        model=MODEL,
        version=4,
        instance="default",
        requests=1_284_906,
        rows=1_301_122,
        refused=37,
        failed=2,
        p50=0.0006,
        p99=0.0213,
        queue=0,
        swaps=3,
        rollbacks=1,
    )


def runs() -> list[Run]:
    return [
        run(RUNNING, RunStatus.RUNNING, started_at=NOW - 70, round=3, eta=47.0),
        run(FINISHED, RunStatus.FINISHED, started_at=NOW - 5 * HOUR, round=5, finished_at=NOW - 5 * HOUR + 128),
        run(
            FAILED,
            RunStatus.FAILED,
            started_at=NOW - 26 * HOUR,
            round=1,
            finished_at=NOW - 26 * HOUR + 41,
            reason="The strategy stopped: replies of round 1 carry different metric keys (accuracy, acc).",
            warning="The app names no export entry point: its model cannot be served.",
            app="breast_cancer 0.2.0",
        ),
    ]


def run(
    id: str,
    status: RunStatus,
    *,
    started_at: float,
    round: int,
    finished_at: float | None = None,
    eta: float | None = None,
    reason: str = "",
    warning: str = "",
    app: str = "digits 1.0.0",
) -> Run:
    return Run(
        id=id,
        flower_run_id=FLOWER,
        app=app,
        fab_hash=sha(app),
        status=status,
        reason=reason,
        config={"rounds": 5, "learning-rate": 0.05, "local-epochs": 2, "hub-evaluation": True},
        promote="best",
        metric="accuracy",
        strategy="FedAvg",
        rounds=5,
        round=round,
        started_at=started_at,
        finished_at=finished_at,
        eta=eta,
        promoted_version=4 if status is RunStatus.FINISHED else None,
        warning=warning,
    )


ACCURACY: Final = [0.612, 0.783, 0.861, 0.914, 0.937]
LOSS: Final = [1.412, 0.803, 0.521, 0.334, 0.251]


def rounds(run_id: str, count: int) -> list[Round]:
    return [round_of(run_id, number) for number in range(1, count + 1)]


def round_of(run_id: str, number: int, *, finished: bool = True) -> Round:
    sampled = [device_id(index) for index in range(4)]
    late = number == 2
    failures = [
        RoundFailure(
            device_id=device_id(3), phase=Phase.TRAIN, reason="the node was offline when the round's time was over"
        )
    ]
    start = NOW - 70 + (number - 1) * 22
    metrics = {"accuracy": ACCURACY[number - 1], "loss": LOSS[number - 1], "hub-accuracy": ACCURACY[number - 1] - 0.021}
    return Round(
        run_id=run_id,
        round=number,
        started_at=start,
        finished_at=start + 20.6 if finished else None,
        sampled=sampled,
        answered=(sampled[:3] if late else sampled) if finished else sampled[:2],
        failures=failures if late and finished else [],
        train_metrics={"train-loss": LOSS[number - 1] + 0.08} if finished else {},
        evaluate_metrics=metrics if finished else {},
        version=number if finished else None,
    )


def versions(run_id: str = FINISHED) -> list[ModelVersion]:
    return [version_of(number, run_id=run_id, promoted=number == 4) for number in range(1, 6)]


def version_of(number: int, *, run_id: str, promoted: bool = False) -> ModelVersion:
    weights_only = number == 1
    graph = None if weights_only else FileRef(name="graph.onnx", sha256=sha("g"), size=11_904)
    manifest = Manifest(
        model=MODEL,
        version=number,
        created_at=NOW - 5 * HOUR + number * 24,
        weights=FileRef(name="weights.safetensors", sha256=sha(f"w{number}"), size=4_803_112),
        graph=graph,
        labels=[str(digit) for digit in range(10)],
        run_id=run_id,
        round=number,
        metrics={"accuracy": ACCURACY[number - 1], "loss": LOSS[number - 1]},
    )
    return ModelVersion(
        model=MODEL,
        version=number,
        manifest_sha256=sha(f"m{number}"),
        manifest=manifest,
        deployable=not weights_only,
        promoted=promoted,
    )
