"""A process of its own that looks at uploaded files: `python -m flip_hub.models.inspected_files WEIGHTS [GRAPH]`.

It ends with status 0, or says on stderr what is wrong. The hub itself never parses what people bring.
"""

import sys
from collections.abc import Sequence

import onnx
from safetensors import SafetensorError, safe_open


def main(files: Sequence[str]) -> int:
    weights, *graph = files
    try:
        tensors = _tensors(weights)
        if graph:
            _check_graph(graph[0], tensors)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _tensors(path: str) -> set[str]:
    """Their names. Raises `ValueError`."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise ValueError(f"the weights are no safetensors file: {error}") from error
    if not names:
        raise ValueError("the weights hold no tensor")
    return names


def _check_graph(path: str, tensors: set[str]) -> None:
    """Raises `ValueError`."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # the parser's own kinds
        raise ValueError(f"the graph is no ONNX file: {error}") from error
    if not model.graph.output:
        raise ValueError("the graph is no ONNX file: it has no output")
    outside = {each.name for each in model.graph.initializer if each.data_location == onnx.TensorProto.EXTERNAL}
    if missing := sorted(outside - tensors):
        raise ValueError(f"the graph takes tensors that the weights do not hold: {', '.join(missing[:5])}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
