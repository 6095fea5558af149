"""Exchanges an enrolment token for an identity. The identity file comes last: without it, nothing has happened.

The key is made here and never leaves its file; it is kept when enrolment is repeated, also after a power cut.
"""

import asyncio
import os
import socket
from pathlib import Path

import msgspec

from flip_agent.device_key import load_key, make_key
from flip_agent.hub.client import problem_of
from flip_agent.hub.connection import HubConnection
from flip_agent.hub.pinned_authority import pinned_authority
from flip_agent.identity import IDENTITY_FILE, Identity, load_identity, save_identity
from flip_agent.state_folder import DESIRED_FILE
from flip_agent.version import AGENT_VERSION
from flip_agent.watched import Watched
from flip_runtime.errors import ConfigError, Rejected, Unavailable
from flip_wire.fleet import Enrolled, EnrolRequest
from flip_wire.version import HEADER

DAMAGED_FILE = f"{IDENTITY_FILE}.damaged"
_LOOK_EVERY = 2.0
"""Seconds until `run` notices a new identity."""


def enrol(
    state: Path,
    url: str,
    token: str,
    *,
    name: str | None = None,
    ca: str | None = None,
    ca_sha256: str = "",
    again: bool = False,
) -> Identity:
    """`ca` (PEM), or the authority with that fingerprint, is what an https hub is trusted by, now and later. Raises
    `Rejected` when the hub or this device refuses, with a hint; then no identity was written.

    A damaged identity is replaced `again`, and kept beside the new one.
    """
    if not again and (existing := load_identity(state)) is not None:
        raise Rejected(f"this device is enrolled already, {_as(existing)}", hint="--again enrols it anew")
    name = name or socket.gethostname()
    ca = pinned_authority(url, ca_sha256) if ca_sha256 else ca
    request = EnrolRequest(token=token, name=name, public_key=_public_key(state), agent_version=AGENT_VERSION)
    enrolled = _exchange(url, ca, request)
    identity = Identity(
        device_id=enrolled.device_id,
        name=name,
        hub_url=url,
        fleet_address=enrolled.fleet_address,
        ca=enrolled.ca,
        app_keys=enrolled.app_keys,
        model_keys=enrolled.model_keys,
        api_ca=(ca or "") if url.startswith("https:") else None,
    )
    (state / DESIRED_FILE).unlink(missing_ok=True)  # another hub may count its generations from anywhere
    if _damaged(state):
        (state / IDENTITY_FILE).replace(state / DAMAGED_FILE)
    save_identity(state, identity)
    return identity


def earlier(state: Path) -> str:
    """What enrolling anew replaces, for people; nothing before the first time."""
    if _damaged(state):
        return f"a damaged {IDENTITY_FILE}, kept as {state / DAMAGED_FILE}"
    existing = load_identity(state)
    return "" if existing is None else f"the enrolment {_as(existing)}"


class IdentityWatch:
    """For `run`: the identity, as soon as there is one, and again after each new enrolment."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.identity: Watched[Identity | None] = Watched(load_identity(state))

    async def run(self) -> None:
        seen = self._stamp()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if (stamp := self._stamp()) != seen:
                seen = stamp
                self.identity.set(load_identity(self._state))

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._state / IDENTITY_FILE)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def _public_key(state: Path) -> str:
    """PEM of the device's key, which is made if there is none."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    make_key(state)
    return load_key(state).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _as(identity: Identity) -> str:
    return f"as {identity.name} ({identity.device_id}) at {identity.hub_url}"


def _damaged(state: Path) -> bool:
    try:
        load_identity(state)
    except ConfigError:
        return True
    return False


def _exchange(url: str, ca: str | None, request: EnrolRequest) -> Enrolled:
    hub = HubConnection(url, ca=ca)
    headers = {"Content-Type": "application/json", HEADER: str(request.wire_version)}
    answer = hub.exchange("POST", "/api/v1/enrol", body=msgspec.json.encode(request), headers=headers)
    hub.close()
    if answer.status >= 500:
        raise Unavailable(problem_of(answer).detail, hint="try again later")
    if answer.status >= 400:
        problem = problem_of(answer)
        raise Rejected(f"not enrolled: {problem.detail}", hint=problem.hint)
    try:
        return msgspec.json.decode(answer.body, type=Enrolled)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(f"{url} does not answer as a FLIP hub: {error}", hint="check the address") from error
