"""Every collection of the registry: who needs another one, or another index, adds it here and nowhere else.

`COLLECTIONS` is ordered: documents refer to those of earlier collections, which backups rely on. Documents are refused
by MongoDB when a field has the wrong type (`shape`). The collections that take a write with each call of a device are
looked at only on top. What is kept for a time only is named with its time.
"""

from flip_hub.actions.schemas import DeviceAction
from flip_hub.alerts.schemas import Alert, Notice, Silence
from flip_hub.api_tokens.store import ApiTokenRecord
from flip_hub.apps.schemas import App, AppKey
from flip_hub.audit.entry import Entry
from flip_hub.cluster.store import Holder
from flip_hub.contributions.schemas import Instructed, LateRecord
from flip_hub.datasets.schemas import Dataset
from flip_hub.deployments.schemas import Deployment
from flip_hub.devices.fleet_state import FleetState
from flip_hub.devices.record import DeviceRecord
from flip_hub.enrolment.store import TokenRecord
from flip_hub.federation.schemas import Round, Run
from flip_hub.models.store import VersionRecord, Withdrawal
from flip_hub.receipts.chain import ReceiptEntry, ReceiptSeal
from flip_hub.registry.collection import Collection, TimeSeries, index, kept
from flip_hub.registry.shape import fields, optional, shape
from flip_hub.rollouts.store import RolloutRecord
from flip_hub.users.store import User

MINUTE, DAY = 60, 24 * 3600
EVENTS_KEPT = 7 * DAY
HEALTH_KEPT = 30 * DAY
LOSSES_KEPT = 90 * DAY
"""What devices had to drop is known longer than what they said."""
RECEIPTS_KEPT = 90 * DAY
"""A device may come back with its reply after a long time without a network."""
CHAINS_KEPT = 2 * 365 * DAY
"""After the end of its run; whoever wants it for longer has exported it. Its seal stays."""
NONCES_KEPT = 15 * MINUTE
"""Longer than an assertion is valid in either direction."""
ACTIONS_KEPT = 90 * DAY
EXPIRED_TOKENS_KEPT = 7 * DAY
"""So that a late use is told why it is refused."""

_EVENT = index("device", "epoch", "seq", unique=True)

PEOPLE = (
    Collection(
        name="users",
        schema=shape(User, key="username"),
        indexes=(index("role"), index("subject", unique=True, where={"subject": {"$gt": ""}})),
    ),
    Collection(name="api_tokens", schema=shape(ApiTokenRecord, key="id"), indexes=(index("username", "-created_at"),)),
)

DEVICES = (
    Collection(
        name="devices",
        schema=optional(
            shape(DeviceRecord, key="id", depth=1, active_name="string", changed_at="date"),
            *("active_name", "changed_at"),
        ),
        indexes=(
            index("active_name", unique=True, sparse=True),
            index("fingerprint", unique=True),
            index("node_id", sparse=True),
            index("revoked_at", sparse=True),
            index("changed_at", sparse=True),
            index("tags", sparse=True),
        ),
    ),
    Collection(name="fleet", schema=shape(FleetState)),
    Collection(name="device_nonces", schema=fields(_id="string", at="date"), indexes=(kept("at", NONCES_KEPT),)),
    Collection(
        name="enrolment_tokens",
        schema=shape(TokenRecord, expires="date"),
        indexes=(index("id", unique=True), index("-created_at"), kept("expires", EXPIRED_TOKENS_KEPT)),
    ),
)

ACTIONS = (
    Collection(
        name="actions",
        schema=shape(DeviceAction, asked="date"),
        indexes=(index("device", "-asked_at"), index("state", "expires_at"), kept("asked", ACTIONS_KEPT)),
    ),
)

TELEMETRY = (
    Collection(
        name="events",
        schema=fields(device="string", epoch="string", seq="int", happened="date", received="date", body="binary"),
        indexes=(
            *(_EVENT, index("device", "-happened", "-seq"), kept("received", EVENTS_KEPT)),
            index("kind", "-received", where={"kind": "rollback"}),  # alerts look for them
        ),
    ),
    Collection(
        name="gaps",
        schema=fields(device="string", epoch="string", seq="int", declared="date", count="int", reason="string"),
        indexes=(_EVENT, index("device", "-declared"), kept("declared", LOSSES_KEPT)),
    ),
    Collection(
        name="spans",
        schema=fields(device="string", run="string", message="string", happened="date", received="date"),
        indexes=(
            *(_EVENT, index("run", "-happened"), kept("received", EVENTS_KEPT)),
            index("exported", "received"),  # null until a collector has them
        ),
    ),
    Collection(name="exported_runs", schema=fields(_id="string", at="date"), indexes=(kept("at", RECEIPTS_KEPT),)),
    Collection(name="health", series=TimeSeries(at="at", of="device", granularity="minutes", kept=HEALTH_KEPT)),
)

FEDERATION = (
    Collection(name="apps", schema=shape(App), indexes=(index("-uploaded_at"),)),
    Collection(name="app_keys", schema=shape(AppKey)),
    Collection(
        name="runs",
        schema=shape(Run),
        indexes=(index("flower_run_id"), index("earlier"), index("status", "started_at"), index("-started_at")),
    ),
    Collection(name="rounds", schema=shape(Round), indexes=(index("run_id", "round", unique=True),)),
    Collection(name="run_logs", schema=fields(_id="string", text="string")),
)

CONTRIBUTIONS = (
    Collection(
        name="instructions",
        schema=shape(Instructed, at="date"),
        indexes=(
            index("flower_run_id", "-round", "_id"),
            index("device_id", "-sent_at", "_id"),
            index("flower_run_id", "entry", where={"entry": 0}),  # what is in no chain yet
            kept("at", RECEIPTS_KEPT),
        ),
    ),
    Collection(
        name="receipts",
        schema=optional(shape(ReceiptEntry, depth=1, sealed="date"), "sealed"),
        indexes=(
            index("run_id", "seq", unique=True),
            index("run_id", "message_id", unique=True),
            kept("sealed", CHAINS_KEPT),
        ),
    ),
    Collection(name="receipt_seals", schema=shape(ReceiptSeal)),
    Collection(
        name="late",
        schema=shape(LateRecord, depth=2),
        indexes=(
            index("run_id", "-contribution.kept_at", "-_id"),
            index("contribution.kept_at"),
            index("whole"),
            index("objects"),
            index("reply"),
        ),
    ),
    Collection(name="late_dropped", schema=fields(_id="string", count="int")),
    Collection(name="late_made_room", schema=fields(_id="string", at="date"), indexes=(kept("at", RECEIPTS_KEPT),)),
)

MODELS = (
    Collection(
        name="model_versions",
        schema=shape(VersionRecord),
        indexes=(
            index("manifest.model", "-manifest.version", unique=True),
            index(
                *("manifest.run_id", "manifest.round", "manifest.model"),
                unique=True,
                where={"manifest.run_id": {"$gt": ""}},
            ),
            index("artifacts"),
        ),
    ),
    Collection(name="datasets", schema=shape(Dataset), indexes=(index("sha256"),)),
    Collection(name="promotions", schema=fields(_id="string", version="int", at="number")),
    Collection(name="withdrawals", schema=shape(Withdrawal, _id="string")),
    Collection(
        name="rollouts",
        schema=shape(RolloutRecord, _id="string"),
        indexes=(
            index("rollout.model", unique=True, where={"active": True}),
            index("rollout.model", "rollout.version", "-rollout.started_at"),
            index("-rollout.started_at", "-_id"),
            index("active"),
        ),
    ),
    Collection(
        name="deployments",
        schema=shape(Deployment),
        indexes=(
            index("device_id", "model", unique=True, where={"until": {"$type": "null"}}),
            index("model", "version", "-since"),
        ),
    ),
)

AUDIT = (
    Collection(
        name="audit",
        schema=shape(Entry, key="seq", _id="int"),
        indexes=(index("actor", "-_id"), index("action", "-_id"), index("subject", "-_id"), index("at")),
    ),
)

ALERTS = (
    Collection(
        name="alerts",
        schema=optional(shape(Alert, key="id", ended="date"), "ended"),
        indexes=(
            *(index("-opened_at", "-_id"), index("resolved_at", "-opened_at"), index("owed", "opened_at")),
            *(index("device_id", "-opened_at"), index("run_id", "-opened_at"), kept("ended", LOSSES_KEPT)),
        ),
    ),
    Collection(
        name="silences",
        schema=shape(Silence, key="id", ends="date"),
        indexes=(index("-until", "-_id"), kept("ends", LOSSES_KEPT)),
    ),
    Collection(
        name="notices",
        schema=shape(Notice, key="id", at="date"),
        indexes=(index("state", "next_attempt"), index("-made_at", "-_id"), kept("at", LOSSES_KEPT)),
    ),
)

CLUSTER = (Collection(name="leases", schema=shape(Holder, _id="string")),)
SESSIONS = (
    Collection(name="sessions", schema=fields(_id="string", expires_at="date"), indexes=(kept("expires_at", 0),)),
)

PASSING = (*CLUSTER, *SESSIONS)
"""Says what is at this moment: in no backup."""
REGISTRY = Collection(name="registry")
"""Holds the schema version, and the lock of who makes the registry; it is there before any other."""
COLLECTIONS = (
    *(*PEOPLE, *DEVICES, *ACTIONS, *TELEMETRY, *FEDERATION, *CONTRIBUTIONS, *MODELS),
    *(*AUDIT, *ALERTS, *CLUSTER, *SESSIONS),
)
