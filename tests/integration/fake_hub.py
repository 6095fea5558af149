"""A hub on loopback that speaks the wire Structs and fails on command."""

import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.models.signing import ModelSigner
from flip_wire.file_delta import FileDelta
from flip_wire.fleet import DesiredState, DeviceId, DeviceToken, Enrolled, EnrolRequest, TokenRequest
from flip_wire.models import (
    FileRef,
    Manifest,
    ModelAssignment,
    Probe,
    Sha256,
    Tensor,
    TensorSpec,
    encode_manifest,
)
from flip_wire.problem import Problem
from flip_wire.telemetry import Batch, BatchAccepted, Event

DEVICE = DeviceId("dev-0123456789ab")
TOKEN = "enrol-me"


class FakeHub:
    """Answers as the hub does; the attributes are what a test turns and reads."""

    def __init__(self) -> None:
        self.port = 0
        self.desired = DesiredState(generation=0)
        self.artifacts: dict[Sha256, bytes] = {}
        self.deltas: dict[tuple[Sha256, Sha256], FileDelta] = {}
        """By the file and its base."""
        self.asked_deltas: list[tuple[Sha256, Sha256]] = []
        self.cut_after: int | None = None
        """Bytes of the next artifact that are sent before the connection breaks; once."""
        self.refused_kinds: set[str] = set()
        self.busy = 0
        """So many batches are answered 503 with Retry-After 0."""
        self.clock_ahead = 0.0
        self.batches: list[Batch] = []
        """Accepted ones."""
        self.refused = 0
        self.tokens_given = 0
        self.valid_token = ""
        self.ranges: list[str] = []
        self.sent = 0
        """Bytes of artifacts."""
        self.signer = ModelSigner(load_private_key(make_private_key()))
        self.public_key = ""
        self.token_used = False
        self.connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._lock = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[Event]:
        return [event for batch in list(self.batches) for event in batch.events]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        hub = self

        class Handler(_Handler):
            fake = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in list(self.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def want(self, **changes: Any) -> None:
        with self._lock:
            self.desired = msgspec.structs.replace(self.desired, generation=self.desired.generation + 1, **changes)
            self._lock.notify_all()

    def forget_tokens(self) -> None:
        self.valid_token = "none that was given"

    def wait_desired(self, after: int, wait: float) -> DesiredState | None:
        with self._lock:
            changed = self._lock.wait_for(lambda: self.desired.generation != after, min(wait, 1.0))
            return self.desired if changed else None

    def add_version(self, version: int, *, model: str = "digits", size: int = 200_000) -> ModelAssignment:
        """Files that look like a version; no predictor could load them."""
        graph, weights = b"graph %d" % version, hashlib.shake_128(b"%d" % version).digest(size)
        spec = TensorSpec(name="x", dtype="float32", shape=[-1, 1])
        tensor = Tensor(name="x", dtype="float32", shape=[1, 1], data=[0.0])
        manifest = Manifest(
            model=model,
            version=version,
            created_at=0.0,
            weights=FileRef(name="weights.safetensors", sha256=self.keep(weights), size=len(weights)),
            graph=FileRef(name="graph.onnx", sha256=self.keep(graph), size=len(graph)),
            inputs=[spec],
            outputs=[spec],
            probe=Probe(inputs=[tensor], outputs=[tensor]),
        )
        return self.assign(manifest)

    def assign(self, manifest: Manifest) -> ModelAssignment:
        """Signed, as the hub does with what it registers; its files may be kept or not."""
        content = encode_manifest(manifest)
        sha256 = self.keep(content)
        bare = ModelAssignment(model=manifest.model, version=manifest.version, manifest=sha256, size=len(content))
        return msgspec.structs.replace(bare, signatures=self.signer.sign(bare))

    def weights_of(self, assignment: ModelAssignment) -> Sha256:
        return msgspec.json.decode(self.artifacts[assignment.manifest], type=Manifest).weights.sha256

    def keep(self, content: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(content).hexdigest())
        self.artifacts[sha256] = content
        return sha256


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.fake.connections.add(self.connection)

    def finish(self) -> None:
        self.fake.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.path:
            case "/api/v1/enrol":
                self._enrol(msgspec.json.decode(body, type=EnrolRequest))
            case "/api/v1/device/token":
                self._token(msgspec.json.decode(body, type=TokenRequest))
            case "/api/v1/device/telemetry" if self._authorised():
                plain = zstandard.ZstdDecompressor().decompress(body)
                self._telemetry(msgspec.json.decode(plain, type=Batch))
            case _:
                pass  # refused for its token

    def do_GET(self) -> None:
        if not self._authorised():
            return
        path = urlsplit(self.path)
        if path.path == "/api/v1/device/desired":
            query = parse_qs(path.query)
            desired = self.fake.wait_desired(int(query["after"][0]), float(query["wait"][0]))
            self._answer(304 if desired is None else 200, desired)
        elif "/delta/" in path.path:
            *_, sha256, _, base = path.path.split("/")
            self._delta(Sha256(sha256), Sha256(base))
        else:
            self._artifact(Sha256(path.path.rpartition("/")[2]))

    def _enrol(self, request: EnrolRequest) -> None:
        if request.token != TOKEN or self.fake.token_used:
            self._refuse(403, "the token is unknown or was used", "make a new one: flip-hub enrolment-tokens create")
            return
        self.fake.token_used = True
        self.fake.public_key = request.public_key
        self._answer(
            201, Enrolled(device_id=DEVICE, fleet_address="127.0.0.1:1", ca="", model_keys=self.fake.signer.keys)
        )

    def _token(self, request: TokenRequest) -> None:
        key = load_pem_public_key(self.fake.public_key.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(base64.b64decode(request.signature), request.assertion(), ec.ECDSA(hashes.SHA256()))
        now = time.time() + self.fake.clock_ahead
        if abs(request.issued_at - now) > 60:
            self._refuse(401, "the assertion is not of this minute", "set the clock")
            return
        self.fake.tokens_given += 1
        self.fake.valid_token = f"token-{self.fake.tokens_given}"
        self._answer(200, DeviceToken(token=self.fake.valid_token, expires_at=now + 3600))

    def _telemetry(self, batch: Batch) -> None:
        if self.fake.busy:
            self.fake.busy -= 1
            self._refuse(503, "busy", "", {"Retry-After": "0"})
        elif {event.kind for event in batch.events} & self.fake.refused_kinds:
            self.fake.refused += 1
            self._refuse(422, "no event of a kind that is known", "")
        else:
            self.fake.batches.append(batch)
            self._answer(200, BatchAccepted(priority=batch.priority, up_to=batch.events[-1].seq))

    def _delta(self, sha256: Sha256, base: Sha256) -> None:
        self.fake.asked_deltas.append((sha256, base))
        if (delta := self.fake.deltas.get((sha256, base))) is None:
            self._refuse(404, "there is no delta that is smaller", "")
        else:
            self._answer(200, delta)

    def _artifact(self, sha256: Sha256) -> None:
        wanted = self.headers.get("Range", "bytes=0-")
        self.fake.ranges.append(wanted)
        whole = self.fake.artifacts[sha256]
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1 if last else len(whole)
        content = whole[start:stop]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut, self.fake.cut_after = self.fake.cut_after, None
        self.fake.sent += len(content[:cut])
        self.wfile.write(content[:cut])
        if cut is not None:
            self.close_connection = True

    def _authorised(self) -> bool:
        good = self.headers.get("Authorization") == f"Bearer {self.fake.valid_token}"
        if not good:
            self._refuse(401, "the token has expired", "")
        return good

    def _refuse(self, status: int, detail: str, hint: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, Problem(title="refused", status=status, detail=detail, hint=hint), headers)

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else msgspec.json.encode(body)
        self.send_response(status)
        for name, value in {"Flip-Time": f"{time.time() + self.fake.clock_ahead:.3f}", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def started(hub: FakeHub) -> Generator[FakeHub]:
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()
