"""Who gets alerts in tests: a real SMTP server with TLS and a login, and a real HTTP or HTTPS server for a webhook."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from flip_demo.ports import free_port
from flip_hub.certificates import make_authority, make_server

USER, PASSWORD = "flip", "a password of the mail server"


class Identity:
    """A certificate for this machine, and the authority that has signed it."""

    def __init__(self, folder: Path, name: str) -> None:
        authority = make_authority()
        server = make_server(authority, ["localhost", "127.0.0.1"])
        self.ca = folder / f"{name}-ca.pem"
        self.ca.write_bytes(authority.certificate)
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(server.certificate)
        key.write_bytes(server.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)


class MailServer:
    """On a port of its own from `start` on; may be stopped and started again. With `starttls` only after that."""

    def __init__(self, folder: Path, *, starttls: bool = True) -> None:
        self.identity = Identity(folder, "mail")
        self.port, self.mails = free_port(), list[Message]()
        self._starttls = starttls
        self._controller: Controller | None = None

    def start(self) -> None:
        context = self.identity.context
        encrypted: dict[str, Any] = {
            "ssl_context": context,
            "auth_require_tls": False,
        }  # it always is
        if self._starttls:
            encrypted = {"tls_context": context, "require_starttls": True, "auth_required": True}
        self._controller = Controller(self, "localhost", self.port, authenticator=self._knows, **encrypted)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"

    def _knows(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)


class WebhookServer:
    """Refuses the first `failures` calls; HTTPS with an `identity`."""

    def __init__(self, failures: int = 0, identity: Identity | None = None) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.refused = 0
        self.failures = failures
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if identity is not None:
            self._scheme = "https"
            self._server.socket = identity.context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/alerts"

    @contextmanager
    def running(self) -> Generator["WebhookServer"]:
        thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                accepted = owner.refused >= owner.failures
                if accepted:
                    owner.calls.append((self.headers["Flip-Signature"], body))
                else:
                    owner.refused += 1
                self.send_response(204 if accepted else 500)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
