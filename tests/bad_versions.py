"""Versions whose probe is right and that do badly all the same: they fail for some inputs, or take long."""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from flip_agent.models.store import ModelStore
from flip_demo.perceptron import file, graph_model, make_version
from flip_wire.models import GRAPH, Sha256

FAILS_FROM = 10.0
"""The failing version computes no row with a value as high as this."""


def make_failing(store: ModelStore, model: str, version: int, seed: int) -> Sha256:
    """Answers as the perceptron of that seed, where it answers."""
    return make_version(store, model, version, seed, graph=file(store, GRAPH, _failing().SerializeToString()))


def make_slow(store: ModelStore, model: str, version: int, seed: int, rounds: int = 40_000) -> Sha256:
    """Likewise, after so many rounds for nothing: 40,000 take some 100 ms."""
    return make_version(store, model, version, seed, graph=file(store, GRAPH, _slow(rounds).SerializeToString()))


def _failing() -> ModelProto:
    """The highest value of each row, as a whole number, must be an index into a short table."""
    return _before_the_perceptron(
        [
            helper.make_node("ReduceMax", ["x", "axes"], ["highest"], keepdims=1),
            helper.make_node("Cast", ["highest"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["nothing"]),
            helper.make_node("Add", ["x", "nothing"], ["before"]),
        ],
        {"axes": np.array([1]), "table": np.zeros(int(FAILS_FROM), "f4")},
    )


def _slow(rounds: int) -> ModelProto:
    """Turns the sign of all values round and round, an even number of times."""
    assert rounds % 2 == 0
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["go_on_out"]), helper.make_node("Neg", ["values"], ["values_out"])],
        "turn",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", 64]),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("values_out", TensorProto.FLOAT, ["batch", 64]),
        ],
    )
    loop = helper.make_node("Loop", ["rounds", "true", "x"], ["before"], body=body)
    return _before_the_perceptron([loop], {"rounds": np.array(rounds), "true": np.array(True)})


def _before_the_perceptron(nodes: list[NodeProto], constants: dict[str, np.ndarray]) -> ModelProto:
    model = graph_model()
    first = model.graph.node[0]
    first.input[0] = "before"
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    return model
