"""What a request meets first: may it use this device's models, and does it take the fast path?

Whatever goes wrong behind it is answered: a refusal by its own status, a bug with 500 and a line in the log.
"""

import logging

from litestar.types import ASGIApp, Receive, Scope, Send

from flip_agent.inference.http.admission import Admission
from flip_agent.inference.http.answer import send_problem, send_refusal
from flip_agent.inference.http.infer import InferEndpoint
from flip_agent.inference.problems import bug

log = logging.getLogger(__name__)


class Front:
    def __init__(self, admission: Admission, infer: InferEndpoint, app: ASGIApp) -> None:
        self._admission = admission
        self._infer = infer
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            if refusal := self._admission.refusal(scope, headers):
                await send_refusal(scope, send, refusal)
            elif not await self._infer.takes(scope, headers, receive, send):
                await self._app(scope, receive, send)
        except Exception:  # the one place where a request meets a bug: the next one shall not
            log.exception("bug in a request", extra={"method": scope["method"], "path": scope["path"][:200]})
            await send_problem(scope, send, bug())
