"""Inference over HTTP with plain JSON: as the model answers; all else is refused by name, never with a 5xx."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from flip_demo.perceptron import expected, weights
from inference_process import Client, assert_problem, infer_body, one_version, outputs, serving

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"
MAX_BODY = 500_000


@pytest.fixture(scope="module")
def digits() -> Iterator[Client]:
    """A server with version 1 of `digits`, which these tests leave as it is."""
    with serving(one_version, max_body=MAX_BODY) as client:
        yield client


def perceptron(seed: int) -> torch.nn.Module:
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights(seed).items()})
    return model


def test_it_answers_as_torch_does(digits: Client) -> None:
    wanted = perceptron(1)(torch.from_numpy(ROWS)).detach().numpy()
    flat = digits.post(INFER, infer_body(ROWS) | {"id": "7"})
    nested = digits.post("/v2/models/digits/versions/1/infer", infer_body(ROWS, data=ROWS.tolist()))
    assert np.allclose(outputs(flat), wanted, atol=1e-5)
    assert np.array_equal(outputs(flat), outputs(nested))
    assert flat.body | {"outputs": []} == {"model_name": "digits", "model_version": "1", "id": "7", "outputs": []}
    many = np.tile(ROWS, (50, 1))
    assert np.allclose(outputs(digits.post(INFER, infer_body(many))), np.tile(wanted, (50, 1)), atol=1e-5)


def test_the_short_form_answers_with_outputs_and_labels(digits: Client) -> None:
    scores, ids = expected(1, ROWS), set[str]()
    for path in ("/predict", "/predict/digits"):
        answer = digits.post(path, {"inputs": ROWS.tolist()})
        assert answer.status == 200
        assert (answer.body["model"], answer.body["version"]) == ("digits", 1)
        assert np.allclose(answer.body["outputs"], scores, atol=1e-5)
        assert answer.body["labels"] == [f"class-{best}" for best in scores.argmax(axis=1)]
        ids.add(answer.body["id"])
    assert len(ids) == 2
    assert digits.post("/predict", {"inputs": {"x": ROWS.tolist()}}).status == 200


def test_health_and_metadata(digits: Client) -> None:
    assert digits.get("/v2/health/live").body == {"live": True}
    assert digits.get("/v2/health/ready").body == {"ready": True}
    assert digits.get("/v2").body["name"] == "flip"
    for path in ("/v2/models/digits", "/v2/models/digits/versions/1"):
        assert digits.get(path).body == {
            "name": "digits",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}],
        }
        assert digits.get(f"{path}/ready").body == {"name": "digits", "ready": True}


def test_openapi_describes_all_calls(digits: Client) -> None:
    document = digits.get("/docs/openapi.json").body
    model = "/v2/models/{model}"
    version = f"{model}/versions/{{version}}"
    assert set(document["paths"]) == {
        *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/stats", "/metrics", "/predict", "/predict/{model}"),
        *(f"{base}{call}" for base in (model, version) for call in ("", "/ready", "/config", "/stats", "/infer")),
        *(f"/v2/repository/{call}" for call in ("index", "models/{model}/load", "models/{model}/unload")),
        *("/v1/feedback", "/v1/samples", "/v1/samples/status"),
    }
    for operations in document["paths"].values():
        for method, operation in operations.items():
            assert (method == "post") == ("requestBody" in operation)
            assert set(operation["responses"]) == {"200", "default"}
    references = [part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]]
    assert set(references) <= set(document["components"]["schemas"])


def test_the_page_for_people_is_whole_without_a_network(digits: Client) -> None:
    answer = digits.exchange("GET", "/docs", None, {})
    page = answer.content.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/v2/models/{model}/infer" in page
    assert "/v1/feedback" in page
    for fetched in ("<script", "<link", "<img", "src=", "@import", "url("):
        assert fetched not in page


def x(**changes: Any) -> dict[str, Any]:
    return infer_body(ROWS, **changes)


BAD_INFER: list[tuple[str, object, str]] = [
    ("no JSON", b"{", "no valid JSON"),
    ("nothing", b"", "no valid JSON"),
    ("no UTF-8", b'{"inputs": "\xff"}', "body"),
    ("a list", [], "Expected `object`"),
    ("no inputs", {}, "missing required field `inputs`"),
    ("inputs of a wrong type", {"inputs": 3}, "Expected `array`"),
    ("an empty list of inputs", {"inputs": []}, "input 'x' takes FP32 [-1, 64], and is missing"),
    ("no data", {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32"}]}, "field `data`"),
    ("another name", x(name="z"), "input 'x' takes FP32 [-1, 64], and is missing"),
    ("an input twice", {"inputs": x()["inputs"] * 2}, "2 inputs where 1 are expected"),
    ("another datatype", x(datatype="FP64"), "input 'x' takes FP32 [-1, 64], got FP64"),
    ("an unknown datatype", x(datatype="BYTES"), "got BYTES"),
    ("another shape", x(shape=[4, 65]), "got shape [4, 65]"),
    ("a shape of text", x(shape="4"), "Expected `array`"),
    ("a shape of fractions", x(shape=[4.5, 64]), "Expected `int`"),
    ("too few values", x(data=[1.0]), "has 256 values, got 1"),
    ("no values", x(shape=[0, 64], data=[]), "got shape [0, 64]"),
    ("a shape bomb", x(shape=[2**40, 64]), "got 256"),
    ("a larger one", x(shape=[2**62, 64]), "too large to show"),
    ("one below zero", x(shape=[-(2**62), 64]), "too large to show"),
    ("a shape of big numbers", x(shape=[10**4299, 64]), "too large to show"),
    ("a shape of many dimensions", x(shape=[1] * 20_000), "20000 dimensions"),
    ("ragged lists", x(data=[[1.0] * 64] * 3 + [[1.0]]), "different lengths"),
    ("text for numbers", x(data=["1"] * 256), "input 'x': Expected `float`"),
    ("NaN", json.dumps(x(data=[float("nan")] * 256)).encode(), "no valid JSON"),
    ("Infinity", json.dumps(x(data=[float("inf")] * 256)).encode(), "no valid JSON"),
    ("numbers beyond FP32", x(data=[1e300] * 256), "cannot hold"),
    ("deep nesting", b'{"inputs": ' + b"[" * 50_000, "body"),
    ("an unknown output", x() | {"outputs": [{"name": "q"}]}, "no output 'q'"),
    ("a wrong timeout", x() | {"parameters": {"timeout": "soon"}}, "takes a number of microseconds"),
    ("a negative timeout", x() | {"parameters": {"timeout": -1}}, "takes a number of microseconds"),
]
BAD_SHORT: list[tuple[str, object, str]] = [
    ("no JSON", b"inputs=1", "no valid JSON"),
    ("no inputs", {}, "missing required field `inputs`"),
    ("a wrong row", {"inputs": [[1, 2]]}, "input 'x' takes FP32 [-1, 64], got shape [1, 2]"),
    ("no rows", {"inputs": []}, "got shape [0]"),
    ("another name", {"inputs": {"z": []}}, "'inputs' takes an object with ['x']"),
    ("text", {"inputs": "seven"}, "got 0 levels of lists"),
]


def test_bad_input_is_refused_by_name(digits: Client) -> None:
    cases = [(INFER, *case) for case in BAD_INFER] + [("/predict", *case) for case in BAD_SHORT]
    for path, name, body, says in cases:
        answer = digits.post(path, body)
        assert answer.status == 400, f"{name}: {answer}"
        assert says in answer.body["detail"], f"{name}: {answer}"
        assert_problem(answer)
    assert digits.post(INFER, infer_body(ROWS)).status == 200


@pytest.mark.parametrize("path", ["/v2/models/nope/infer", "/predict/nope", "/v2/models/..%2Fdigits/infer"])
def test_an_unknown_model_is_answered_with_the_known_ones(digits: Client, path: str) -> None:
    answer = digits.post(path, infer_body(ROWS) if path.endswith("infer") else {"inputs": []})
    assert answer.status == 404
    assert_problem(answer)
    if "%2F" not in path:
        assert "['digits']" in answer.body["hint"]


def test_unknown_versions_and_routes(digits: Client) -> None:
    for answer in (
        digits.post("/v2/models/digits/versions/2/infer", infer_body(ROWS)),
        digits.get("/v2/models/digits/versions/0"),
        digits.get("/v2/models/nope"),
        digits.get("/v2/models/nope/ready"),
        digits.get("/nope"),
        digits.get("/v2/../../etc/passwd"),
    ):
        assert answer.status == 404
        assert_problem(answer)
    assert digits.post("/v2/health/live", {}).status == 405


def test_a_body_over_the_limit_is_refused(digits: Client) -> None:
    answer = digits.post(INFER, b" " * (MAX_BODY + 1))
    assert answer.status == 413
    assert "inference.max_body" in answer.body["hint"]
    with socket.create_connection(("127.0.0.1", digits.port), timeout=20) as chunked:
        chunked.sendall(f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunked.sendall((b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 8 + b"0\r\n\r\n")
        assert chunked.recv(100).startswith(b"HTTP/1.1 413 ")


def test_other_hosts_and_origins_are_refused(digits: Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for answer in (digits.get("/v2", **headers), digits.post(INFER, infer_body(ROWS), **headers)):
            assert answer.status == 403
            assert_problem(answer)


def test_a_timeout_that_is_over_before_its_turn_is_no_failure_of_the_server(digits: Client) -> None:
    answer = digits.post(INFER, infer_body(ROWS) | {"parameters": {"timeout": 0}})
    assert answer.status == 504
    assert_problem(answer)
