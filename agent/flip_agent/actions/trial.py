"""Asks the inference server on this device for one answer, in a short-lived process: as an app on the device would.

`python -m flip_agent.actions.trial URL [CONFIG]`, with the URL of a model's `infer`, reads a request of the Open
Inference Protocol and prints the answer. The token, and the certificate that the server shows, are those of the
configuration. Its status is 0 for an answer, 1 for a refusal.
"""

import http.client
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from flip_agent.settings import InferenceSection, Settings
from flip_runtime.config import load_config
from flip_runtime.errors import FlipError

WITHIN = 60.0
"""Seconds."""
_OK = 200


def asked(url: str, request: bytes, where: InferenceSection) -> tuple[int, bytes]:
    """Status and body. Raises `OSError`."""
    address = urlsplit(url)
    headers = {"Content-Type": "application/json"}
    if where.token_file is not None:
        headers["Authorization"] = f"Bearer {where.token_file.read_text().strip()}"
    host, port = address.hostname or "127.0.0.1", address.port
    if address.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=WITHIN, context=_own_certificate(where))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=WITHIN)
    try:
        connection.request("POST", address.path, request, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _own_certificate(where: InferenceSection) -> ssl.SSLContext:
    """Trusts the certificate that this device's server has, by whatever name it was reached."""
    context = ssl.create_default_context(cafile=where.certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def main(arguments: list[str]) -> int:
    url, *config = arguments
    try:
        where = load_config(Settings, Path(config[0]) if config else None).inference
        status, body = asked(url, sys.stdin.buffer.read(), where)
    except (OSError, http.client.HTTPException, FlipError) as error:
        sys.stderr.write(f"the inference server does not answer: {error}\n")
        return 1
    sys.stdout.buffer.write(body)
    return 0 if status == _OK else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
