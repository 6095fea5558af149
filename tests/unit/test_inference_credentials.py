"""The secrets of `serve`: only from files that are its own; what is wrong with one is named with the way out."""

import re
from pathlib import Path

import pytest

from flip_agent.inference.credentials import read_credentials
from flip_agent.inference.http.listener import listen, url
from flip_agent.settings import InferenceSection
from flip_hub.certificates import make_authority, make_server
from flip_runtime.errors import ConfigError

AUTHORITY = make_authority()
PAIR = make_server(AUTHORITY, ["localhost"])
OTHER = make_server(AUTHORITY, ["localhost"])


def file(folder: Path, name: str, content: bytes, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_nothing_is_needed_on_loopback() -> None:
    credentials = read_credentials(InferenceSection())
    assert (credentials.token, credentials.tls) == ("", None)
    assert url(InferenceSection()) == "http://127.0.0.1:8082"


def test_a_token_is_what_its_file_holds_without_the_end_of_the_line(tmp_path: Path) -> None:
    path = file(tmp_path, "token", b"0123456789abcdef\n", 0o400)
    assert read_credentials(InferenceSection(token_file=path)).token == "0123456789abcdef"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path, "token", b"0123456789abcdef", mode)
    with pytest.raises(ConfigError, match=f"others on this device .chmod 600 {path}"):
        read_credentials(InferenceSection(token_file=path))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"with a space in it", "sixteen-letters-\u00e9".encode(), b"\0" * 20, b"x" * 5000]
)
def test_what_is_no_token_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = file(tmp_path, "token", content)
    with pytest.raises(ConfigError, match="openssl rand -hex 32") as refused:
        read_credentials(InferenceSection(token_file=path))
    assert "letters" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"inference.token_file {tmp_path / 'no'} cannot be read")):
        read_credentials(InferenceSection(token_file=tmp_path / "no"))


def test_a_certificate_makes_https(tmp_path: Path) -> None:
    certificate, key = file(tmp_path, "c.pem", PAIR.certificate, 0o644), file(tmp_path, "k.pem", PAIR.key)
    where = InferenceSection(host="::1", certificate=certificate, private_key=key)
    credentials = read_credentials(where)
    assert credentials.tls is not None
    assert (credentials.certificate, credentials.private_key) == (PAIR.certificate, PAIR.key)
    assert url(where) == "https://[::1]:8082"


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    only = file(tmp_path, "c.pem", PAIR.certificate)
    for where in (InferenceSection(certificate=only), InferenceSection(private_key=only)):
        with pytest.raises(ConfigError, match="only one is set"):
            read_credentials(where)


@pytest.mark.parametrize(
    ("certificate", "key", "mode", "says"),
    [
        (PAIR.certificate, PAIR.key, 0o640, "chmod 600"),
        (PAIR.certificate, OTHER.key, 0o600, "makes no TLS"),
        (b"no PEM", PAIR.key, 0o600, "makes no TLS"),
        (PAIR.certificate, b"", 0o600, "makes no TLS"),
    ],
)
def test_a_pair_that_is_none_is_refused(tmp_path: Path, certificate: bytes, key: bytes, mode: int, says: str) -> None:
    where = InferenceSection(
        certificate=file(tmp_path, "c.pem", certificate), private_key=file(tmp_path, "k.pem", key, mode)
    )
    with pytest.raises(ConfigError, match=says):
        read_credentials(where)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "camera.example"])
def test_another_interface_than_loopback_wants_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"set inference\.token_file"):
        listen(InferenceSection(host=host))
