"""The Control port: Flower's own command line, with an account of the hub and what its role allows, and nobody else.

Who calls is known before anything of the body is read. `table` says of every call of Flower's Control API whether it is
answered here, to whom, and otherwise which way of the hub's own there is; the SuperLink itself is never reached from
outside. A log is streamed for as long as the run goes on, the command line listens, and the account may see it.
"""

import asyncio
import logging
from typing import Any, NoReturn

from flwr.proto.control_pb2 import (
    GetAuthTokensRequest,
    GetLoginDetailsRequest,
    ListNodesRequest,
    ListRunsRequest,
    RefreshAuthTokensRequest,
    StartRunRequest,
    StopRunRequest,
    StreamLogsRequest,
)

from flip_hub.audit.service import Audit
from flip_hub.auth.callers import Caller, Callers
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.credentials import gateway_certificate
from flip_hub.federation.control_port.call import ControlCall, Elsewhere
from flip_hub.federation.control_port.runs import RunCalls
from flip_hub.federation.control_port.sign_in import SignIn
from flip_hub.federation.control_port.table import ANSWERED, ELSEWHERE, LARGEST_START, LOGIN
from flip_hub.federation.fleet_call import Gone
from flip_hub.listener import listening, serve, server_config
from flip_hub.mongo import DatabaseDown
from flip_hub.observability.requests import TracedApp
from flip_hub.problem import Forbidden, NotFound
from flip_hub.settings import Settings
from flip_runtime.errors import FlipError, Rejected

log = logging.getLogger(__name__)

APPS_AT_ONCE = 4
"""Each is held in memory until it is stored."""
LOOK_EVERY = 2.0
"""Seconds between looks whether who reads a log still may."""


class ControlPort:
    def __init__(
        self,
        settings: Settings,
        callers: Callers,
        sign_in: SignIn,
        runs: RunCalls,
        audit: Audit,
        leading: Leading = ALONE,
    ) -> None:
        self._settings = settings
        self._leading = leading
        self._audit = audit
        self._callers = callers
        self._sign_in = sign_in
        self._runs = runs
        self._apps = asyncio.Semaphore(APPS_AT_ONCE)

    async def run(self) -> None:
        """Until it is cancelled. Raises `ConfigError` for a taken port or a missing certificate."""
        control, certificate = self._settings.control, gateway_certificate(self._settings)
        with listening(control.host, control.port, "control") as listener:
            log.info("control port ready", extra={"host": control.host, "port": control.port})
            config = server_config(TracedApp(self), certificate, proxies=self._settings.hub.proxies)
            await serve(config, listener, lambda: None, certificate)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        call = ControlCall(scope, receive, send)
        try:
            await self._answer(call)
        except Gone:
            log.debug("command line hung up", extra={"path": scope["path"]})
        except (FlipError, DatabaseDown) as error:
            if call.answered:
                raise  # uvicorn cuts the connection, so that half an answer is seen as none
            if isinstance(error, Rejected):
                self._audit.refuse(call.action, actor=call.actor, detail=error.args[0], address=call.address)
            await call.refuse(error)

    async def _answer(self, call: ControlCall) -> None:
        name = call.name()
        self._leading.check()
        if name in LOGIN:
            await self._let_in(name, call)
            return
        caller = await self._callers.known(call.bearer())
        call.actor = caller.me.username
        if name in ELSEWHERE:
            raise Elsewhere(f"this hub does not do {name} by Flower's Control API", hint=ELSEWHERE[name])
        if name not in ANSWERED:
            raise NotFound("Flower's Control API has no such call", hint="this hub speaks that of Flower 1.41")
        _check(caller.me, ANSWERED[name])
        await self._do(name, call, caller)

    async def _let_in(self, name: str, call: ControlCall) -> None:
        match name:
            case "get-login-details":
                await call.message(GetLoginDetailsRequest())
                await call.answer(await self._sign_in.details(call.address))
            case "get-auth-tokens":
                await call.message(asked := GetAuthTokensRequest())
                call.actor, tokens = await self._sign_in.tokens(asked, call.address)
                if call.actor:
                    await self._note(call)
                await call.answer(tokens)
            case _:
                await call.message(shown := RefreshAuthTokensRequest())
                await call.answer(await self._sign_in.renewed(shown))

    async def _do(self, name: str, call: ControlCall, caller: Caller) -> None:
        match name:
            case "start-run":
                async with self._apps:
                    await call.message(start := StartRunRequest(), LARGEST_START)
                    run, started = await self._runs.start(start, caller.me)
                await self._note(call, run.id)
                await call.answer(started)
            case "stop-run":
                await call.message(stop := StopRunRequest())
                run, stopped = await self._runs.stop(stop)
                await self._note(call, run.id)
                await call.answer(stopped)
            case "list-runs":
                await call.message(listed := ListRunsRequest())
                await call.answer(await self._runs.list(listed))
            case "stream-logs":
                await call.message(logs := StreamLogsRequest())
                await self._stream_log(call, logs, caller)
            case _:
                await call.message(ListNodesRequest())
                await call.answer(await self._runs.nodes())

    async def _note(self, call: ControlCall, subject: str = "") -> None:
        """Before it is answered. Raises `DatabaseDown`: then it is owed."""
        await self._audit.note(call.action, actor=call.actor, subject=subject, address=call.address)

    async def _stream_log(self, call: ControlCall, request: StreamLogsRequest, caller: Caller) -> None:
        run = await self._runs.find(request.run_id)
        async with self._runs.log(request, run) as frames:
            try:
                async with asyncio.TaskGroup() as group:
                    hung_up = group.create_task(call.hung_up())
                    shut_out = group.create_task(self._until_shut_out(call.bearer(), caller))
                    await call.stream_frames(frames)
                    hung_up.cancel()
                    shut_out.cancel()
            except* (Gone, FlipError, DatabaseDown) as errors:
                raise errors.exceptions[0] from None

    async def _until_shut_out(self, token: str, caller: Caller) -> NoReturn:
        """By the session: the access token is of minutes, and nobody can renew it in a stream."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            _check(await self._callers.still(token, caller), Permission.RUNS_READ)


def _check(me: Me, permission: Permission) -> None:
    if not me.may(permission):
        raise Forbidden(f"this needs {permission}", hint=f"{me.username} is {me.role}; ask an admin")
