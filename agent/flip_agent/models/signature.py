"""Whether this device may bring a model version: a key that it trusts has signed the assignment.

The keys are the hub's, learned at enrolment, or those that the operator of the device names in their place
(`models.trusted_keys`). It is found out in a short-lived process, which opens nothing but the keys: cryptography costs
`run` 10 MiB otherwise. `python -m flip_agent.models.signature` reads a `Question` and prints a `Verdict`.
"""

import asyncio
import base64
import binascii
import sys

import msgspec
from msgspec import Struct

from flip_runtime.errors import ConfigError, Rejected, Unavailable
from flip_wire.models import ModelAssignment

_WITHIN = 60.0
"""Seconds; the imports take two on a slow board."""
_ENROL_AGAIN = "flip-agent enrol URL --token T --again"
_NAME_IT = "models.trusted_keys on the device names whom it trusts: add the public key there"


class Untrusted(Rejected):
    """Not by its content: another signature, or other keys, may make it good."""


class Question(Struct, frozen=True, kw_only=True):
    assignment: ModelAssignment
    learned: dict[str, str]
    """Public keys of the hub by their ids."""
    named: list[str] | None
    """Public keys in their place."""


class Verdict(Struct, frozen=True, kw_only=True):
    """`reason` is empty when the version may be brought."""

    reason: str = ""
    hint: str = ""


async def check_signature(question: Question) -> None:
    """Raises `Untrusted`, or `Unavailable` when it cannot be found out now."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flip_agent.models.signature"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise Unavailable(f"cannot check the signature: {error.strerror}") from error
    try:
        async with asyncio.timeout(_WITHIN):
            out, _ = await process.communicate(msgspec.json.encode(question))
        verdict = msgspec.json.decode(out, type=Verdict)
    except TimeoutError as error:
        raise Unavailable("checking the signature takes too long") from error
    except msgspec.DecodeError as error:
        raise Unavailable(f"the signature could not be checked: status {process.returncode}") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if verdict.reason:
        raise Untrusted(verdict.reason, hint=verdict.hint)


def judge(question: Question) -> Verdict:
    """In the child."""
    from flip_agent.public_keys import named_keys

    keys, way_out = question.learned, _ENROL_AGAIN
    if question.named is not None:
        try:
            keys, way_out = named_keys(question.named, setting="models.trusted_keys"), _NAME_IT
        except ConfigError as error:
            return Verdict(reason=error.args[0], hint=error.hint)
    signatures = question.assignment.signatures
    if not keys:
        return Verdict(reason="this device knows no key that signs model versions", hint=way_out)
    if not signatures:
        return Verdict(reason="nobody has signed the version", hint="run its app again: the hub signs what it makes")
    known = sorted(keys.keys() & signatures.keys())
    if not known:
        signers = ", ".join(sorted(signatures))[:200]
        return Verdict(reason=f"the version is signed by {signers}, which this device does not trust", hint=way_out)
    if not any(_signed(keys[key], question.assignment, signatures[key]) for key in known):
        return Verdict(reason=f"the signature of {', '.join(known)} is not one over this version", hint=way_out)
    return Verdict()


def _signed(public_key: str, assignment: ModelAssignment, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    from flip_agent.public_keys import load_public_key

    try:
        load_public_key(public_key).verify(base64.b64decode(signature, validate=True), assignment.statement())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.write(msgspec.json.encode(judge(asked)).decode())
