"""Model versions for tests."""

from flip_demo.perceptron import (
    Array,
    expected,
    external,
    file,
    graph,
    graph_model,
    make_version,
    manifest,
    tensor,
    weights,
)

__all__ = [
    "Array",
    "expected",
    "external",
    "file",
    "graph",
    "graph_model",
    "make_version",
    "manifest",
    "tensor",
    "weights",
]
