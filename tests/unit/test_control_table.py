"""Every call that Flower's Control API has is decided on: answered to who may, or refused with the hub's own way."""

from flwr.superlink.routers.control import router

from flip_hub.auth.permissions import GRANTS, Role
from flip_hub.federation.control_port.table import ANSWERED, ELSEWHERE, LOGIN, PREFIX


def test_every_call_of_the_installed_flower_is_in_the_table_once() -> None:
    calls = [getattr(route, "path", "").removeprefix(PREFIX) for route in router.routes]
    assert sorted(calls) == sorted([*LOGIN, *ANSWERED, *ELSEWHERE])


def test_whoever_looks_may_list_and_read_and_only_who_operates_may_run_and_stop() -> None:
    looks = {name for name, permission in ANSWERED.items() if permission in GRANTS[Role.VIEWER]}
    assert looks == {"list-runs", "stream-logs", "list-nodes"}
    assert set(ANSWERED.values()) <= GRANTS[Role.OPERATOR]


def test_what_is_refused_names_a_way() -> None:
    assert all(ELSEWHERE.values())
