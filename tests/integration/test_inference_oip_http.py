"""The Open Inference Protocol over HTTP with Triton's own client: each call that the server says it has."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from echo_model import DTYPES, make_echo
from flip_agent.models.store import ModelStore
from flip_demo.perceptron import Array, expected, make_version
from inference_process import Client, serving

ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
WANTED = expected(2, ROWS)


def fill(store: ModelStore) -> None:
    for version in (1, 2):
        store.activate("digits", make_version(store, "digits", version, seed=version))
    store.activate("echo", make_echo(store))


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    """With versions 1 and 2 of `digits`, of which 2 is active, and with `echo`."""
    with serving(fill) as client:
        yield client


@pytest.fixture(scope="module")
def client(server: Client) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        yield client


def x(rows: Any = ROWS, *, binary: bool = True) -> list[Any]:
    return [tensor("x", rows, binary=binary)]


def tensor(name: str, values: Any, *, binary: bool) -> Any:
    made: Any = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def y(*, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput("y", binary_data=binary)]


@pytest.mark.parametrize("asks_binary", [True, False])
@pytest.mark.parametrize("answers_binary", [True, False, None])
def test_json_and_binary_tensors_say_the_same(client: Any, asks_binary: bool, answers_binary: bool | None) -> None:
    wanted = None if answers_binary is None else y(binary=answers_binary)
    answer = client.infer("digits", x(binary=asks_binary), outputs=wanted, request_id="seven")
    assert np.allclose(answer.as_numpy("y"), WANTED, atol=1e-5)
    told = answer.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("digits", "2", "seven")
    assert ("data" in answer.get_output("y")) == (answers_binary is False)


def test_a_version_can_be_named(client: Any) -> None:
    answer = client.infer("digits", x(), model_version="1")
    assert np.allclose(answer.as_numpy("y"), expected(1, ROWS), atol=1e-5)
    assert answer.get_response()["model_version"] == "1"


def values_of(dtype: str) -> Array:
    if dtype == "bool":
        return np.array([[True, False, True], [False, False, True]])
    if dtype.startswith("float"):
        return np.array([[0, -0.5, 0.1], [1e-4, 6e4, 1 / 3]], dtype)
    return np.array([[0, 1, 2], [3, np.iinfo(dtype).min, np.iinfo(dtype).max]], dtype)


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
def test_every_datatype_comes_back_bit_by_bit(client: Any, encoding: str | None) -> None:
    sent = {dtype: values_of(dtype) for dtype in DTYPES}
    inputs = [tensor(dtype, values, binary=True) for dtype, values in sent.items()]
    answer = client.infer(
        "echo", inputs, request_compression_algorithm=encoding, response_compression_algorithm=encoding
    )
    for dtype, values in sent.items():
        assert answer.as_numpy(f"{dtype}_out").tobytes() == values.tobytes(), dtype


def test_some_tensors_may_be_binary_and_others_json(client: Any) -> None:
    sent = {dtype: values_of(dtype) for dtype in DTYPES}
    # the client cannot write FP16 as JSON
    inputs = [
        tensor(dtype, values, binary=at % 2 == 0 or dtype == "float16")
        for at, (dtype, values) in enumerate(sent.items())
    ]
    names = ["int8_out", "float64_out", "bool_out"]
    wanted = [triton.InferRequestedOutput(name, binary_data=name == "bool_out") for name in names]
    answer = client.infer("echo", inputs[::-1], outputs=wanted)
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["bool_out", "int8_out", "float64_out"]
    for name in names:
        assert np.array_equal(answer.as_numpy(name), sent[name.removesuffix("_out")])


@pytest.mark.parametrize("asks", ["gzip", "deflate", None])
@pytest.mark.parametrize("takes", ["gzip", "deflate", None])
@pytest.mark.parametrize("binary", [True, False])
def test_bodies_may_be_packed_both_ways(client: Any, asks: str | None, takes: str | None, binary: bool) -> None:
    rows = np.tile(ROWS, (50, 1))  # an answer of some size
    answer = client.infer(
        "digits",
        x(rows, binary=binary),
        outputs=y(binary=binary),
        request_compression_algorithm=asks,
        response_compression_algorithm=takes,
    )
    assert np.allclose(answer.as_numpy("y"), np.tile(WANTED, (50, 1)), atol=1e-5)


def test_calls_may_be_made_at_once(client: Any) -> None:
    calls = [client.async_infer("digits", x(ROWS[at % 4 : at % 4 + 1])) for at in range(16)]
    for at, call in enumerate(calls):
        assert np.allclose(call.get_result(timeout=30).as_numpy("y"), WANTED[at % 4 : at % 4 + 1], atol=1e-5)


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("digits", "9")
    assert not client.is_model_ready("nope")
    extensions = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
    assert client.get_server_metadata()["extensions"] == extensions
    assert client.get_model_metadata("digits", "1")["versions"] == ["2", "1"]


def test_the_configuration_names_rows_apart(client: Any) -> None:
    config = client.get_model_config("digits")
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("digits", "onnxruntime_onnx", 64)
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [64]}]
    assert config["output"] == [{"name": "y", "data_type": "TYPE_FP32", "dims": [10]}]
    assert client.get_model_config("echo", "1")["input"][9]["data_type"] == "TYPE_FP16"


def test_statistics_count_rows_and_refusals_of_each_version(client: Any) -> None:
    def of(version: str) -> Any:
        [found] = client.get_inference_statistics("digits", version)["model_stats"]
        return found

    before = of("2")
    client.infer("digits", x())
    with pytest.raises(InferenceServerException):
        client.infer("digits", x(ROWS[:, :63]))
    after = of("2")
    assert after["inference_count"] - before["inference_count"] == 4
    assert after["execution_count"] - before["execution_count"] == 1
    for outcome in ("success", "fail"):
        assert after["inference_stats"][outcome]["count"] - before["inference_stats"][outcome]["count"] == 1
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert after["last_inference"] > before["last_inference"]
    everything = client.get_inference_statistics()["model_stats"]
    assert [(each["name"], each["version"]) for each in everything] == [("digits", "2"), ("digits", "1"), ("echo", "1")]
    assert len(client.get_inference_statistics("digits")["model_stats"]) == 2


def test_an_unloaded_model_answers_nothing_until_it_is_loaded(server: Client, client: Any) -> None:
    def states() -> list[tuple[str, str, str]]:
        return [(each["name"], each["version"], each["state"]) for each in client.get_model_repository_index()]

    assert states() == [("digits", "2", "READY"), ("digits", "1", "READY"), ("echo", "1", "READY")]
    client.unload_model("echo")
    client.unload_model("echo")  # as with Triton, twice is as good as once
    assert states()[2:] == [("echo", "1", "UNAVAILABLE")]
    assert [each["name"] for each in server.post("/v2/repository/index", {"ready": True}).body] == ["digits"] * 2
    assert not client.is_model_ready("echo")
    with pytest.raises(InferenceServerException, match="POST /v2/repository/models/echo/load"):
        client.infer("echo", [tensor("int8", values_of("int8"), binary=True)])
    assert np.allclose(client.infer("digits", x()).as_numpy("y"), WANTED, atol=1e-5)
    client.load_model("echo")
    assert states()[2:] == [("echo", "1", "READY")]
    assert client.is_model_ready("echo")


def test_what_a_model_is_made_of_comes_from_the_hub_alone(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="'config' is not taken"):
        client.load_model("digits", config="{}")
    with pytest.raises(InferenceServerException, match="is not taken"):
        client.load_model("digits", config="{}", files={"file:1/model.onnx": b"\0"})
    for call in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match=r"\[404\].*no model 'nope'"):
            call("nope")


def test_the_client_shows_what_is_wrong(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"\[400\] input 'x' takes FP32 \[-1, 64\], got FP64"):
        client.infer("digits", x(ROWS.astype("f8")))
    with pytest.raises(InferenceServerException, match=r"\[404\] no model 'nope' \(this device serves"):
        client.infer("nope", x())


def test_a_body_may_be_nothing_but_the_only_input(server: Client) -> None:
    answer = server.exchange(
        "POST", "/v2/models/digits/infer", ROWS.tobytes(), {"Inference-Header-Content-Length": "0"}
    )
    assert answer.status == 200
    length = int(answer.headers["inference-header-content-length"])
    assert np.allclose(np.frombuffer(answer.content[length:], "f4").reshape(4, 10), WANTED, atol=1e-5)


def test_no_content_type_is_needed_and_none_misleads(server: Client, client: Any) -> None:
    body, length = client.generate_request_body(x())
    for kind in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}):
        headers = {"Inference-Header-Content-Length": str(length), **kind}
        assert server.exchange("POST", "/v2/models/digits/infer", body, headers).status == 200
