"""The Control port by hand: what it takes and refuses, from whom, and that the audit has it."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from flwr.proto.control_pb2 import (
    GetAuthTokensRequest,
    GetAuthTokensResponse,
    GetLoginDetailsResponse,
    ListRunsRequest,
    ListRunsResponse,
    RefreshAuthTokensRequest,
    RefreshAuthTokensResponse,
    StartRunRequest,
    StartRunResponse,
    StopRunRequest,
    StreamLogsRequest,
)
from flwr.proto.fab_pb2 import Fab
from google.protobuf.message import Message

from flip_hub.api.pages import Wanted
from flip_hub.audit.schemas import Sought
from flip_hub.auth.permissions import Role
from flip_hub.federation.control_port.table import ANSWERED, ELSEWHERE, LARGEST_BODY
from integration.control_rig import ControlRig, control_rig
from integration.hub_parts import fab_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(mongo_url: str) -> AsyncGenerator[ControlRig]:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with control_rig(Path(folder), mongo_url) as rig:
            await rig.hub.enrol("north")
            yield rig


async def told(
    rig: ControlRig, role: Role | None, call: str, message: Message | bytes
) -> tuple[int, dict[str, object]]:
    """Status and error."""
    body = message if isinstance(message, bytes) else message.SerializeToString()
    async with rig.client(role) as http:
        answer = await http.post(call, content=body)
    return answer.status_code, answer.json() if answer.is_error else {}


async def run_of(rig: ControlRig) -> int:
    async with rig.client(Role.OPERATOR) as http:
        answer = await http.post("start-run", content=start().SerializeToString())
    assert answer.is_success, answer.text
    return StartRunResponse.FromString(answer.content).run_id


def start(**fields: object) -> StartRunRequest:
    request = StartRunRequest(fab=Fab(content=fab_of()))
    for name, value in fields.items():
        setattr(request, name, value)
    return request


async def test_nobody_without_an_account_is_told_anything(rig: ControlRig) -> None:
    for call in [*ANSWERED, *ELSEWHERE, "nothing"]:
        status, error = await told(rig, None, call, b"")
        assert (status, error["code"]) == (HTTPStatus.UNAUTHORIZED, 36)
    async with rig.client(authorization="Bearer forged") as http:
        answer = await http.post("list-runs", content=b"")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await told(rig, None, "refresh-auth-tokens", RefreshAuthTokensRequest(refresh_token="x")))[0] == 401
    assert (await told(rig, None, "get-auth-tokens", GetAuthTokensRequest(device_code="x")))[0] == 401


async def test_a_command_line_is_given_a_session_by_whoever_confirms_its_code_in_the_console(rig: ControlRig) -> None:
    async with rig.client() as http:
        details = GetLoginDetailsResponse.FromString((await http.post("get-login-details", content=b"")).content)
        asked = GetAuthTokensRequest(device_code=details.device_code).SerializeToString()
        waiting = GetAuthTokensResponse.FromString((await http.post("get-auth-tokens", content=asked)).content)
        assert (waiting.access_token, waiting.refresh_token) == ("", "")
        path = f"/api/v1/auth/terminal-logins/{details.verification_uri_complete.rpartition('/')[2]}"
        shown = await rig.hub.http.get(path, headers=rig.hub.as_user(Role.VIEWER))
        assert shown.json()["address"] == "127.0.0.1"
        assert (await rig.hub.http.post(f"{path}/confirm")).status_code == HTTPStatus.UNAUTHORIZED
        assert (await rig.hub.http.post(f"{path}/confirm", headers=rig.hub.as_user(Role.VIEWER))).is_success
        given = GetAuthTokensResponse.FromString((await http.post("get-auth-tokens", content=asked)).content)
        assert (await http.post("get-auth-tokens", content=asked)).status_code == HTTPStatus.UNAUTHORIZED
        renewal = RefreshAuthTokensRequest(refresh_token=given.refresh_token).SerializeToString()
        renewed = RefreshAuthTokensResponse.FromString(
            (await http.post("refresh-auth-tokens", content=renewal)).content
        )
        for token in (given.access_token, renewed.access_token):
            listed = await http.post("list-runs", content=b"", headers={"authorization": f"Bearer {token}"})
            assert listed.is_success, listed.text


async def test_each_role_may_what_the_table_says(rig: ControlRig) -> None:
    number = await run_of(rig)
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        assert (await told(rig, role, "list-runs", ListRunsRequest()))[0] == 200
        assert (await told(rig, role, "list-nodes", b""))[0] == 200
    for call, message in {"start-run": start(), "stop-run": StopRunRequest(run_id=number)}.items():
        status, error = await told(rig, Role.VIEWER, call, message)
        assert (status, error["code"]) == (HTTPStatus.FORBIDDEN, 9)
    assert (await told(rig, Role.ADMIN, "stop-run", StopRunRequest(run_id=number)))[0] == 200


async def test_what_cannot_run_is_refused_in_words(rig: ControlRig) -> None:
    cases: dict[str, StartRunRequest] = {
        "Flower Hub": start(app_spec="@someone/app"),
        "one federation": start(federation="@ada/other"),
        "no agents": start(user_prompt="hello"),
        "this is no FAB": StartRunRequest(fab=Fab(content=b"no zip")),
    }
    before = await rig.store.newest(0, 1)
    for words, request in cases.items():
        status, error = await told(rig, Role.OPERATOR, "start-run", request)
        assert 400 <= status < 502
        assert words in str(error["detail"])
    unknown = start()
    unknown.override_config["no-such-key"].sint64 = 1
    status, error = await told(rig, Role.OPERATOR, "start-run", unknown)
    assert (status, error["code"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, 15)
    unknown.override_config["num-server-rounds"].Clear()
    assert (await told(rig, Role.OPERATOR, "start-run", unknown))[0] == HTTPStatus.UNPROCESSABLE_ENTITY
    assert await rig.store.newest(0, 1) == before


async def test_a_run_that_is_not_known_is_named_so(rig: ControlRig) -> None:
    for call, message in {
        "stop-run": StopRunRequest(run_id=7),
        "stream-logs": StreamLogsRequest(run_id=2**63),
        "list-runs": ListRunsRequest(run_id=2**64 - 1),
    }.items():
        status, error = await told(rig, Role.OPERATOR, call, message)
        assert (status, error["code"]) == (HTTPStatus.NOT_FOUND, 16)


async def test_bodies_are_bounded_and_must_be_flowers(rig: ControlRig) -> None:
    assert (await told(rig, Role.VIEWER, "list-runs", b"\xff\xff"))[0] == HTTPStatus.BAD_REQUEST
    assert (await told(rig, Role.VIEWER, "list-runs", bytes(LARGEST_BODY + 1)))[0] == 413
    async with rig.client(Role.VIEWER, **{"content-type": "application/json"}) as http:
        assert (await http.post("list-runs", content=b"{}")).status_code == HTTPStatus.BAD_REQUEST
        assert (await http.get("list-runs")).status_code == HTTPStatus.NOT_FOUND
        assert (await http.post("/v1/fleet/pull-messages", content=b"")).status_code == HTTPStatus.NOT_FOUND


async def test_a_run_that_the_superlink_refused_is_listed_by_a_number_of_its_own(rig: ControlRig) -> None:
    rig.flower.refuses = "no room"
    assert (await told(rig, Role.OPERATOR, "start-run", start()))[0] == HTTPStatus.BAD_REQUEST
    rig.flower.refuses = ""
    failed = (await rig.store.newest(0, 1))[0]
    async with rig.client(Role.VIEWER) as http:
        newest = await http.post("list-runs", content=ListRunsRequest(limit=1).SerializeToString())
        (number,) = ListRunsResponse.FromString(newest.content).run_dict
        one = await http.post("list-runs", content=ListRunsRequest(run_id=number).SerializeToString())
    run = ListRunsResponse.FromString(one.content).run_dict[number]
    assert number == int(failed.id.removeprefix("run-"), 16)
    assert (run.status.status, run.status.sub_status, run.status.details) == ("finished", "failed", "no room")


async def test_the_audit_has_who_started_and_stopped_and_who_was_refused(rig: ControlRig) -> None:
    number = await run_of(rig)
    run = await rig.store.run_of_flower(str(number))
    assert run is not None
    await told(rig, Role.OPERATOR, "stop-run", StopRunRequest(run_id=number))
    await told(rig, Role.VIEWER, "start-run", start())
    await rig.hub.core.audit.note("test", actor="test")  # what was refused before is written with it
    entries = (await rig.hub.core.audit.page(Sought(), Wanted())).items
    noted = [(each.action, each.actor, each.subject, each.refused) for each in entries]
    assert ("flwr start-run", "operator", run.id, False) in noted
    assert ("flwr stop-run", "operator", run.id, False) in noted
    assert ("flwr start-run", "viewer", "", True) in noted
