"""Flower's Control API, call by call: who may make it here, and for what the hub has a way of its own, which one."""

from flip_hub.auth.permissions import Permission
from flip_hub.federation.fab import FAB_LIMIT

PREFIX = "/v1/control/"

LOGIN = frozenset({"get-login-details", "get-auth-tokens", "refresh-auth-tokens"})
"""They make or renew a session, so they are made without one."""

LARGEST_BODY = 2**16
"""Bytes."""
LARGEST_START = FAB_LIMIT + 2**20
"""Bytes: an app, and a configuration."""


ANSWERED = {
    "start-run": Permission.RUNS_OPERATE,
    "stop-run": Permission.RUNS_OPERATE,
    "list-runs": Permission.RUNS_READ,
    "stream-logs": Permission.RUNS_READ,
    "list-nodes": Permission.DEVICES_READ,
}
"""Answered by the hub, to who has the permission."""

_ONE_FEDERATION = "this hub is one federation: leave `federation` out of the connection"
_NO_AGENTS = "this hub runs federated learning: apps with a ServerApp and a ClientApp"
_RUNS = "GET /api/v1/runs/ID of the hub's API, or the run's page in the console"

ELSEWHERE = {
    "register-node": "flip-hub devices add NAME --public-key FILE",
    "unregister-node": "flip-hub devices revoke ID",
    "pull-artifacts": "the model's versions are files: the model's page in the console, or GET /api/v1/models",
    "stream-run-events": _RUNS,
    "list-run-series": _RUNS,
    "get-run-series": _RUNS,
    "list-run-series-events": _RUNS,
    "update-run-series-description": _RUNS,
    "list-apps": "flip-hub apps list",
    "list-app-associations": "flip-hub apps list",
    "add-app": "flip-hub apps sign APP --key FILE",
    "remove-app": "apps are kept, for what has run; trust their key no more: flip-hub apps keys remove ID",
    "start-automation": "start runs by a timer of your own: flwr run, or flip-hub runs start",
    "list-automations": "start runs by a timer of your own: flwr run, or flip-hub runs start",
    "stop-automation": "start runs by a timer of your own: flwr run, or flip-hub runs start",
    "list-connectors": _NO_AGENTS,
    "begin-connector-oauth": _NO_AGENTS,
    "complete-connector-oauth": _NO_AGENTS,
    "disconnect-connector": _NO_AGENTS,
    **dict.fromkeys(
        (
            "list-federations", "show-federation", "create-federation", "archive-federation", "set-federation-icon",
            "add-node-to-federation", "remove-node-from-federation", "remove-account-from-federation",
            "create-invitation", "list-invitations", "accept-invitation", "reject-invitation", "revoke-invitation",
            "configure-simulation-federation",
        ),
        _ONE_FEDERATION,
    ),
}  # fmt: skip
"""Refused, with the hub's own way."""

CALLS = LOGIN | ANSWERED.keys() | ELSEWHERE.keys()
