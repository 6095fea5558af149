"""The gRPC service with Triton's own client: every call that is offered, and refusals with their reasons."""

import asyncio
import queue
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient import grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from flip_demo.perceptron import expected, make_version
from flip_demo.ports import free_port
from flip_hub.certificates import make_authority, make_server
from flip_runtime.atomic import write_file
from flip_runtime.child import port_open
from inference_process import ServeProcess

ROOT = Path(__file__).parents[2]
ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
MAX_BODY = 500_000

FP32 = 11
"""In the protocol's `DataType`."""

wire: Any = service_pb2


class Server:
    def __init__(self, process: ServeProcess) -> None:
        self.address = f"127.0.0.1:{process.port + 1000}"
        self.client: Any = triton.InferenceServerClient(self.address)

    def infer(self, rows: Any = ROWS, *, model: str = "digits", datatype: str = "FP32", **options: Any) -> Any:
        tensor: Any = triton.InferInput("x", list(rows.shape), datatype)
        tensor.set_data_from_numpy(rows)
        return self.client.infer(model, [tensor], **options)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """With versions 1 and 2 of `digits`, of which 2 is the active one."""
    with tempfile.TemporaryDirectory(prefix="flip-") as folder, asyncio.Runner() as runner:
        process = ServeProcess(Path(folder), free_port(), grpc=True, max_body=MAX_BODY)
        for version in (1, 2):
            process.store.activate("digits", make_version(process.store, "digits", version, seed=version))
        running = process.running()
        runner.run(running.__aenter__())
        server = Server(process)
        yield server
        server.client.close()
        runner.run(running.__aexit__(None, None, None))


def refused(code: grpc.StatusCode) -> Any:
    return pytest.raises(InferenceServerException, match=rf"StatusCode\.{code.name}\]")


def test_it_tells_what_it_is_and_what_it_serves(server: Server) -> None:
    client = server.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "2")
    assert not client.is_model_ready("digits", "7")
    assert not client.is_model_ready("letters")
    assert client.get_server_metadata().name == "flip"
    metadata = client.get_model_metadata("digits")
    assert (metadata.name, next(iter(metadata.versions)), metadata.platform) == ("digits", "2", "onnxruntime_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs] == [("x", "FP32", [-1, 64])]


def test_it_tells_how_a_model_is_set_up_and_what_it_has_answered(server: Server) -> None:
    config = server.client.get_model_config("digits").config
    assert (config.name, config.platform, config.max_batch_size) == ("digits", "onnxruntime_onnx", 64)
    assert [(each.name, each.data_type, list(each.dims)) for each in config.input] == [("x", FP32, [64])]
    before = server.client.get_inference_statistics("digits", "2").model_stats[0]
    server.infer()
    after = server.client.get_inference_statistics("digits", "2").model_stats[0]
    assert after.inference_count == before.inference_count + len(ROWS)
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert {each.version for each in server.client.get_inference_statistics().model_stats} == {"1", "2"}


def test_models_are_listed_unloaded_and_loaded(server: Server) -> None:
    client = server.client
    assert [(each.name, each.version, each.state) for each in index(client)] == [
        ("digits", "2", "READY"),
        ("digits", "1", "READY"),
    ]
    client.unload_model("digits")
    assert not client.is_model_ready("digits")
    assert {each.state for each in index(client)} == {"UNAVAILABLE"}
    with pytest.raises(InferenceServerException, match="unloaded"):
        server.infer()
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        client.load_model("digits", config="{}")
    client.load_model("digits")
    assert np.allclose(server.infer().as_numpy("y"), expected(2, ROWS), atol=1e-5)
    with refused(grpc.StatusCode.NOT_FOUND):
        client.load_model("letters")


def index(client: Any) -> Any:
    return client.get_model_repository_index().models


def test_it_answers_as_the_model_does_and_names_its_version(server: Server) -> None:
    result = server.infer(request_id="a-1")
    assert np.allclose(result.as_numpy("y"), expected(2, ROWS), atol=1e-5)
    answer = result.get_response()
    assert (answer.model_name, answer.model_version, answer.id) == ("digits", "2", "a-1")


def test_typed_contents_answer_as_raw_ones_do(server: Server) -> None:
    tensor = wire.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=ROWS.shape)
    tensor.contents.fp32_contents.extend(ROWS.ravel().tolist())
    request = wire.ModelInferRequest(model_name="digits", inputs=[tensor])
    answer: Any = call(server, "ModelInfer", request.SerializeToString(), wire.ModelInferResponse.FromString)
    values = np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(answer.outputs[0].shape)
    assert np.array_equal(values, server.infer().as_numpy("y"))


def test_a_stream_is_answered_in_order_and_outlives_a_refusal(server: Server) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    tensor: Any = triton.InferInput("x", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    with triton.InferenceServerClient(server.address) as client:
        streaming: Any = client
        streaming.start_stream(lambda result, error: answers.put((result, error)))
        for model, request in (("digits", "1"), ("letters", "2"), ("digits", "3")):
            streaming.async_stream_infer(model, [tensor], request_id=request)
        first, second, third = (answers.get(timeout=30) for _ in range(3))
        streaming.stop_stream()
    assert [each[0].get_response().id for each in (first, third)] == ["1", "3"]
    assert "no model 'letters'" in str(second[1])


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"model": "letters"}, grpc.StatusCode.NOT_FOUND, "no model 'letters'"),
        ({"model_version": "9"}, grpc.StatusCode.NOT_FOUND, "no version '9'"),
        (
            {"rows": ROWS[:, :63].copy()},
            grpc.StatusCode.INVALID_ARGUMENT,
            r"takes FP32 \[-1, 64\], got shape \[4, 63\]",
        ),
        ({"rows": ROWS.astype("f8"), "datatype": "FP64"}, grpc.StatusCode.INVALID_ARGUMENT, "takes FP32.*got FP64"),
        ({"outputs": [triton.InferRequestedOutput("z")]}, grpc.StatusCode.INVALID_ARGUMENT, "no output 'z'"),
        ({"rows": np.zeros((5000, 64), "f4")}, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
        ({"timeout": -1}, grpc.StatusCode.INVALID_ARGUMENT, "microseconds"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    server: Server, change: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    with refused(code) as error:
        server.infer(**change)
    assert error.match(reason)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["ModelInfer", "ModelReady", "ModelMetadata"]), body=st.binary(max_size=300))
def test_no_bytes_whatever_are_answered_with_a_bug(server: Server, method: str, body: bytes) -> None:
    try:
        call(server, method, body, bytes)
    except grpc.RpcError as error:
        failure: Any = error
        assert failure.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 70), max_size=4),
    raw=st.lists(st.binary(max_size=600), max_size=3),
    values=st.lists(st.floats(width=32), max_size=130),
    name=st.text(max_size=5) | st.just("x"),
    datatype=st.sampled_from(["FP32", "FP16", "BYTES", "", "INT8"]),
)
def test_no_request_whatever_is_answered_with_a_bug(
    server: Server, shape: list[int], raw: list[bytes], values: list[float], name: str, datatype: str
) -> None:
    tensor = wire.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    tensor.contents.fp32_contents.extend(values)
    request = wire.ModelInferRequest(model_name="digits", inputs=[tensor], raw_input_contents=raw)
    try:
        call(server, "ModelInfer", request.SerializeToString(), bytes)
    except grpc.RpcError as error:
        failure: Any = error
        assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.asyncio
async def test_tls_and_the_token_hold_for_grpc_too(folder: Path, port: int) -> None:
    authority = make_authority()
    pair, token = make_server(authority, ["127.0.0.1"]), "c0ffee" * 4
    secrets = {"token_file": token.encode(), "certificate": pair.certificate, "private_key": pair.key}
    for name, content in secrets.items():
        write_file(folder / name, content)
    (folder / "ca.pem").write_bytes(authority.certificate)
    files: Any = {name: folder / name for name in secrets}
    process = ServeProcess(folder, port, grpc=True, **files)
    process.store.activate("digits", make_version(process.store, "digits", 1, seed=1))
    await process.child.start()
    try:
        await process.child.wait_until(lambda: port_open(port + 1000), within=60)
        await asyncio.to_thread(only_with, token, f"127.0.0.1:{port + 1000}", folder / "ca.pem")
    finally:
        await process.child.stop()


def only_with(token: str, address: str, authority: Path) -> None:
    with triton.InferenceServerClient(address, ssl=True, root_certificates=str(authority)) as connected:
        client: Any = connected
        for headers in (None, {"authorization": "Bearer wrong"}, {"authorization": token}):
            with refused(grpc.StatusCode.UNAUTHENTICATED):
                client.is_server_live(headers=headers)
        assert client.is_server_live(headers={"authorization": f"Bearer {token}"})
    with triton.InferenceServerClient(address) as plain, refused(grpc.StatusCode.UNAVAILABLE):
        plain.is_server_live()  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_named_with_the_way_out(folder: Path, port: int) -> None:
    process = ServeProcess(folder, port, grpc=True)
    with socket.create_server(("127.0.0.1", port + 1000)):
        await process.child.start()
        async with asyncio.timeout(60):
            assert await process.child.wait() == 78
    said = process.log.read_text()
    assert f"cannot listen on port {port + 1000} of 127.0.0.1 for gRPC" in said
    assert "inference.grpc" in said
    assert "Traceback" not in said


def test_the_generated_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "protos", tmp_path], check=True, timeout=120)
    made = tmp_path / "flip_agent" / "inference" / "grpc"
    assert sorted(path.name for path in made.iterdir()) == ["oip_pb2.py", "oip_pb2.pyi"]
    for path in made.iterdir():
        kept = ROOT / "agent" / "flip_agent" / "inference" / "grpc" / path.name
        assert path.read_text() == kept.read_text(), "run scripts/protos"


def call(server: Server, method: str, body: bytes, decode: Any) -> Any:
    """One call with these bytes."""
    with grpc.insecure_channel(server.address) as channel:
        answer: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{method}", None, decode)
        return answer(body, timeout=30)
