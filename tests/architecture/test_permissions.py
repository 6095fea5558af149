"""Every call of the API says who may make it, and the table of roles is whole."""

from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from litestar import Controller, Router
from litestar.handlers import HTTPRouteHandler

from flip_hub.auth.guards import Needs, device_guard
from flip_hub.auth.permissions import GRANTS, Permission, Role
from flip_hub.core import ROUTES
from flip_hub.daemon import FEDERATION_ROUTES

ANYBODY = {
    "GET /api/v1/auth/oidc/callback",
    "GET /api/v1/auth/oidc/login",
    "GET /api/v1/auth/ways",
    "GET /api/v1/ca",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/setup",
    "POST /api/v1/device/token",
    "POST /api/v1/enrol",
}
"""They say nothing of worth, or check what is presented in the body or the cookie."""


@pytest.fixture(scope="module")
def guards() -> dict[str, Sequence[object]]:
    return {call: guards for call, guards in _calls() if " /api/v1" in call}


def _calls() -> Iterator[tuple[str, Sequence[object]]]:
    for route in [*ROUTES, *FEDERATION_ROUTES]:
        prefix, handlers = "", [route]
        if isinstance(route, type) and issubclass(route, Controller):
            prefix, handlers = route.path, route(owner=Router("/", route_handlers=[])).get_route_handlers()
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler):
                calls = product(handler.http_methods, handler.paths)
                yield from (
                    (f"{method} {prefix}{path}".rstrip("/"), handler.resolve_guards()) for method, path in calls
                )


def test_every_call_has_one_guard_for_people_or_for_devices(guards: dict[str, Sequence[object]]) -> None:
    assert {call for call, of in guards.items() if not of} == ANYBODY
    unclear = {
        call: of
        for call, of in guards.items()
        if of and not (len(of) == 1 and (isinstance(of[0], Needs) or of[0] is device_guard))
    }
    assert unclear == {}


def test_what_changes_something_needs_more_than_to_look(guards: dict[str, Sequence[object]]) -> None:
    looks = {
        call: guard.permission
        for call, of in guards.items()
        for guard in of
        if isinstance(guard, Needs) and guard.permission is not None
        if not call.startswith("GET ") and guard.permission.endswith(":read")
    }
    assert looks == {}


def test_each_role_may_what_the_one_before_may() -> None:
    assert GRANTS[Role.VIEWER] < GRANTS[Role.OPERATOR] < GRANTS[Role.ADMIN] == set(Permission)
    assert not {each for each in GRANTS[Role.VIEWER] if each.endswith((":operate", ":trust", ":sign", ":enrol"))}
