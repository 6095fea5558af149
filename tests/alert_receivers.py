"""Who gets alerts in tests: a real SMTP server with STARTTLS and a login, and a real HTTP server for a webhook."""

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


class MailServer:
    """On a port of its own from `start` on; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        authority = make_authority()
        server = make_server(authority, ["localhost", "127.0.0.1"])
        self.ca, self.port, self.mails = folder / "mail-ca.pem", free_port(), list[Message]()
        self.ca.write_bytes(authority.certificate)
        certificate, key = folder / "mail.pem", folder / "mail.key"
        certificate.write_bytes(server.certificate)
        key.write_bytes(server.key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(
            self, "localhost", self.port, tls_context=self._context, require_starttls=True, auth_required=True,
            authenticator=self._knows,
        )  # fmt: skip
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
        return AuthResult(success=good)


class WebhookServer:
    """Refuses the first `failures` calls."""

    def __init__(self, failures: int = 0) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.refused = 0
        self.failures = failures
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

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
