"""The hub's runs and devices in Flower's terms, as `flwr list` and `flwr supernode list` print them: pure.

A run is known by Flower's number of it. One that never came so far as to have one is known by a number made of the
hub's id. What the registry does not keep (the SuperLink's count of bytes and of compute time) is 0.
"""

from datetime import UTC, datetime

from flwr.common.serde import user_config_to_proto
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.run_pb2 import Run as FlowerRun
from flwr.proto.run_pb2 import RunStatus as FlowerRunStatus

from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.schemas import Run, RunStatus

_STATUS = {
    RunStatus.PENDING: ("pending", ""),
    RunStatus.RUNNING: ("running", ""),
    RunStatus.FINISHED: ("finished", "completed"),
    RunStatus.FAILED: ("finished", "failed"),
    RunStatus.STOPPED: ("finished", "stopped"),
}
_OWN_ID = "run-"


def number_of(run: Run) -> int:
    return int(run.flower_run_id) if run.flower_run_id else int(run.id.removeprefix(_OWN_ID), 16)


def own_id(number: int) -> str:
    """Of a run without a number of Flower's."""
    return f"{_OWN_ID}{number:012x}"


def flower_run(run: Run) -> FlowerRun:
    name, _, version = run.app.rpartition(" ")
    status, sub_status = _STATUS[run.status]
    began = "" if run.status is RunStatus.PENDING or not run.flower_run_id else _iso(run.started_at)
    return FlowerRun(
        run_id=number_of(run),
        fab_id=name,
        fab_version=version,
        fab_hash=run.fab_hash,
        override_config=user_config_to_proto(run.config),
        pending_at=_iso(run.started_at),
        starting_at=began,
        running_at=began,
        finished_at=_iso(run.finished_at),
        status=FlowerRunStatus(status=status, sub_status=sub_status, details=run.reason),
        flwr_aid=run.started_by,
        account_name=run.started_by,
        primary_task_type="flwr-serverapp",
    )


def flower_node(device: Device) -> NodeInfo:
    """`online` is a device that the hub hears; Flower's own word is for those that are connected at this moment."""
    status, last_seen = _node_status(device), device.last_seen
    return NodeInfo(
        node_id=int(device.node_id or 0),
        name=device.name,
        owner_name=device.name,  # the only column of the table that can tell which device it is
        status=status,
        registered_at=_iso(device.enrolled_at),
        last_activated_at=_iso(last_seen) if status == "online" else None,
        last_deactivated_at=_iso(last_seen) if status == "offline" else None,
        unregistered_at=_iso(last_seen) if status == "unregistered" else None,
    )


def _node_status(device: Device) -> str:
    match device.status:
        case DeviceStatus.REVOKED:
            return "unregistered"
        case DeviceStatus.OK | DeviceStatus.UNHEALTHY:
            return "online"
        case DeviceStatus.UNKNOWN:
            return "registered" if device.last_seen is None else "offline"


def _iso(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat()
