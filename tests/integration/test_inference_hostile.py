"""Bodies and headers that nobody means well with: each is answered with a 4xx that says what is wrong, never with a
5xx, and the next request is answered as if nothing had been.
"""

import gzip
import http.client
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flip_demo.perceptron import expected
from inference_process import Answer, Client, Exchange, assert_problem, infer_body, one_version, outputs, serving

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"
MAX_BODY = 500_000
LENGTH = "Inference-Header-Content-Length"

hostile = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def digits() -> Iterator[Client]:
    with serving(one_version, max_body=MAX_BODY) as client:
        yield client


@pytest.fixture(autouse=True)
def goes_on(digits: Client) -> Iterator[None]:
    yield
    assert np.allclose(outputs(digits.post(INFER, infer_body(ROWS))), expected(1, ROWS), atol=1e-5)


def refused(answer: Exchange, status: int = 400) -> str:
    """What it says is wrong."""
    assert answer.status == status, answer
    told = json.loads(answer.content)
    assert_problem(Answer(answer.status, answer.headers, told))
    return told["error"]


def framed(body: Any, binary: bytes) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(body).encode()
    return head + binary, {LENGTH: str(len(head))}


def x(size: object = 1024, **changes: Any) -> dict[str, Any]:
    parameters = {} if size is None else {"binary_data_size": size}
    return {"inputs": [{"name": "x", "shape": [4, 64], "datatype": "FP32", "parameters": parameters} | changes]}


NAN = np.where(np.arange(256) == 7, np.nan, 1).astype("f4").tobytes()
BINARY: list[tuple[str, Any, bytes, str]] = [
    ("truncated", x(), bytes(1023), "shape [4, 64] has 1024 bytes, binary_data_size is 1024, 1023 bytes follow"),
    ("nothing follows", x(), b"", "binary_data_size is 1024, 0 bytes follow"),
    ("surplus", x(), bytes(1025), "shape [4, 64] has 1024 bytes, 1 bytes follow that belong to no tensor"),
    ("too little is declared", x(1020), bytes(1020), "shape [4, 64] has 1024 bytes, got 1020"),
    ("too much is declared", x(1028), bytes(1028), "shape [4, 64] has 1024 bytes, got 1028"),
    ("more than there is", x(2**62), bytes(1024), f"binary_data_size is {2**62}, 1024 bytes follow"),
    ("a size below zero", x(-1024), bytes(1024), "input 'x' takes FP32 [-1, 64], shape [4, 64] has 1024 bytes"),
    ("a size beyond words", x(10**400), bytes(1024), "binary_data_size is too large to show"),
    ("a size of text", x("1024"), bytes(1024), "Expected `int | null`, got `str`"),
    ("a size that is half a number", x(3), bytes(3), "shape [4, 64] has 1024 bytes, got 3"),
    ("data as well", x(data=[1.0] * 256), bytes(1024), "both `data` and a binary_data_size"),
    ("neither", x(None), b"", "without the field `data` and without a binary_data_size"),
    ("bytes for a tensor of JSON", infer_body(ROWS), bytes(1024), "1024 bytes follow that belong to no tensor"),
    ("NaN", x(), NAN, "input 'x' takes FP32 [-1, 64], got NaN or an infinite number"),
    ("infinity", x(), np.full(256, -np.inf, "f4").tobytes(), "NaN or an infinite number"),
    ("a shape bomb", x(shape=[2**40, 64]), bytes(1024), f"has {2**48} bytes, got 1024"),
    ("another width", x(shape=[4, 65]), bytes(1040), "input 'x' takes FP32 [-1, 64], got shape [4, 65]"),
    ("another datatype", x(datatype="FP16"), bytes(512), "input 'x' takes FP32 [-1, 64], got FP16"),
    ("an input twice", {"inputs": x()["inputs"] * 2}, bytes(2048), "2 inputs where 1 are expected"),
    ("a wrong wish", x() | {"parameters": {"binary_data_output": "yes"}}, bytes(1024), "takes true or false"),
    (
        "a wrong wish for one",
        x() | {"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]},
        bytes(1024),
        "`bool",
    ),
]


@pytest.mark.parametrize(("name", "body", "binary", "says"), BINARY, ids=[case[0] for case in BINARY])
def test_a_wrong_binary_tensor_is_named(digits: Client, name: str, body: Any, binary: bytes, says: str) -> None:
    content, headers = framed(body, binary)
    assert says in refused(digits.exchange("POST", INFER, content, headers))


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "", "x", "9" * 400, "99999", "\u00b2".encode("latin-1").decode("latin-1")]
)
def test_a_wrong_length_of_the_json_is_named(digits: Client, length: str) -> None:
    content, _ = framed(x(), bytes(1024))
    says = refused(digits.exchange("POST", INFER, content, {LENGTH: length}))
    assert "Inference-Header-Content-Length is no number of bytes from 0 to" in says


def test_a_body_without_json_holds_whole_rows(digits: Client) -> None:
    assert digits.exchange("POST", INFER, bytes(512), {LENGTH: "0"}).status == 200
    for size in (1, 255, 257):
        says = refused(digits.exchange("POST", INFER, bytes(size), {LENGTH: "0"}))
        assert f"a row has 256 bytes, got {size}" in says
    assert "no valid JSON" in refused(digits.exchange("POST", INFER, b"", {LENGTH: "0"}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_costs_no_more_than_the_largest_body(digits: Client, encoding: str) -> None:
    """64 MiB of nothing."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = packer.compress(bytes(2**26)) + packer.flush()
    before = resident(digits)
    for packed in (bomb[:2000], bomb, bomb * 10):
        says = refused(digits.exchange("POST", INFER, packed, {"Content-Encoding": encoding}), 413)
        assert "inference.max_body" in says
    assert resident(digits) - before < 20 * 2**20


def resident(digits: Client) -> int:
    """Bytes of the server's memory."""
    [pid] = {each.pid for each in psutil.net_connections("tcp") if each.laddr[1:] == (digits.port,) and each.pid}
    return psutil.Process(pid).memory_info().rss


@pytest.mark.parametrize(
    ("encoding", "content", "status", "says"),
    [
        ("gzip", b"no gzip", 400, "the body is no gzip"),
        ("gzip", b"", 400, "ends before its gzip does"),
        ("gzip", gzip.compress(json.dumps(infer_body(ROWS)).encode(), mtime=0)[:-9], 400, "ends before its gzip does"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more", 400, "goes on after the end of its gzip"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4] + b"1234", 400, "the body is no gzip"),
        ("gzip", gzip.compress(b"{", mtime=0), 400, "no valid JSON"),
        ("deflate", gzip.compress(b"{}", mtime=0), 400, "the body is no deflate"),
        ("br", b"{}", 415, "other than gzip and deflate"),
        ("gzip, gzip", b"{}", 415, "other than gzip and deflate"),
    ],
)
def test_what_is_packed_wrongly_is_named(digits: Client, encoding: str, content: bytes, status: int, says: str) -> None:
    answer = digits.exchange("POST", INFER, content, {"Content-Encoding": encoding})
    assert says in refused(answer, status)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "y", ""]) | JSON,
        "datatype": st.sampled_from(["FP32", "BYTES", "INT64"]) | JSON,
        "shape": st.lists(st.integers(), max_size=4) | st.just([1, 64]) | JSON,
        "data": st.just([0.5] * 64) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers() | JSON}) | JSON,
    },
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text() | JSON,
        "inputs": st.lists(TENSOR, max_size=3) | JSON,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["y", "z"])}), max_size=3) | JSON,
        "parameters": st.dictionaries(st.sampled_from(["timeout", "binary_data_output", "q"]), JSON) | JSON,
    },
)
INFERENCE = [INFER, "/v2/models/digits/versions/1/infer", "/v2/models/x/infer", "/predict", "/predict/digits"]
REPOSITORY = ["/v2/repository/index", "/v2/repository/models/digits/load", "/v2/repository/models/q/unload"]
PATHS = st.sampled_from([*INFERENCE, *REPOSITORY])
HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from([LENGTH, "Content-Type", "Accept-Encoding", "Content-Encoding", "Accept", "X-Any", "Cookie"]),
    HEADER_VALUES | st.sampled_from(["gzip", "deflate", "0", "10", "gzip;q=0", "identity"]),
    max_size=4,
)


def answered(digits: Client, path: str, content: bytes, headers: dict[str, str]) -> None:
    answer = digits.exchange("POST", path, content, headers)
    assert answer.status < 500, answer
    if answer.status != 200:
        refused(answer, answer.status)


@hostile
@given(path=PATHS, body=REQUEST, headers=HEADERS)
def test_no_json_is_answered_with_a_5xx(digits: Client, path: str, body: Any, headers: dict[str, str]) -> None:
    answered(digits, path, json.dumps(body).encode(), headers)


@hostile
@given(path=PATHS, body=REQUEST, binary=st.binary(max_size=600), headers=HEADERS, cut=st.integers(-50, 50))
def test_no_binary_body_is_answered_with_a_5xx(
    digits: Client, path: str, body: Any, binary: bytes, headers: dict[str, str], cut: int
) -> None:
    head = json.dumps(body).encode()
    content = head + binary
    answered(digits, path, content, headers | {LENGTH: str(len(head) + cut)})
    answered(digits, path, content[: cut if cut < 0 else None], headers | {LENGTH: str(len(head))})


@hostile
@given(path=PATHS, content=st.binary(max_size=2000), headers=HEADERS)
def test_no_random_bytes_are_answered_with_a_5xx(
    digits: Client, path: str, content: bytes, headers: dict[str, str]
) -> None:
    answered(digits, path, content, headers)


@hostile
@given(content=st.binary(max_size=300), encoding=st.sampled_from(["gzip", "deflate"]), at=st.integers(0, 400))
def test_no_damaged_packing_is_answered_with_a_5xx(digits: Client, content: bytes, encoding: str, at: int) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    packed = bytearray(pack(json.dumps(infer_body(ROWS[:1])).encode() + content))
    packed[at % len(packed)] ^= 1 + at % 255
    answered(digits, INFER, bytes(packed), {"Content-Encoding": encoding})


@hostile
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
)
def test_no_path_is_answered_with_a_5xx(digits: Client, method: str, path: str) -> None:
    for prefix in ("/", "/v2/models/", "/v2/models/digits/", "/predict/", "/docs/"):
        try:
            answer = digits.exchange(method, prefix + path, None, {})
        except http.client.RemoteDisconnected:
            continue
        assert answer.status < 500, (method, prefix + path, answer)


@pytest.mark.parametrize("path", [INFER, "/predict", "/v2/repository/index", "/v2/repository/models/digits/load"])
def test_depth_is_bounded(digits: Client, path: str) -> None:
    for bomb in (b"[" * 10_000, b'{"inputs":' * 1500, b'{"q":' * 2500 + b"1" + b"}" * 2500, b'{"a":' + b"[" * 10_000):
        refused(digits.exchange("POST", path, bomb, {}))


def test_names_may_be_long_and_answers_stay_short(digits: Client) -> None:
    long = "n" * 100_000
    for body in (
        infer_body(ROWS, name=long),
        infer_body(ROWS, datatype=long),
        infer_body(ROWS) | {"outputs": [{"name": long}]},
        {"inputs": [{"name": f"{at}", "shape": [1], "datatype": "FP32", "data": [1]} for at in range(5000)]},
    ):
        refused(digits.exchange("POST", INFER, json.dumps(body).encode(), {}))
    refused(
        digits.exchange("POST", f"/v2/models/{long[:30_000]}/infer", json.dumps(infer_body(ROWS)).encode(), {}), 404
    )
    refused(digits.exchange("POST", INFER, b"{}", {f"X-{at}": "y" for at in range(200)}), 431)
