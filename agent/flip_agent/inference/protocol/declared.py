"""What a request declares, in any protocol, against what the model has: names, datatypes, shapes of its tensors."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from flip_agent.inference.problems import Refusal
from flip_agent.inference.tensors import DATATYPES, expected
from flip_wire.models import TensorSpec


class DeclaredTensor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def datatype(self) -> str: ...


Declared = TypeVar("Declared", bound=DeclaredTensor)


def in_order(tensors: Sequence[Declared], specs: Sequence[TensorSpec]) -> list[Declared]:
    """The inputs in the order of the model's, each there once and of its datatype. Raises `Refusal`."""
    given = {tensor.name: tensor for tensor in tensors}
    ordered: list[Declared] = []
    for spec in specs:
        if (tensor := given.get(spec.name)) is None:
            raise Refusal(f"{expected(spec)}, and is missing", hint=_names(specs))
        if tensor.datatype != DATATYPES[spec.dtype].name:
            raise Refusal(f"{expected(spec)}, got {tensor.datatype[:100]}")
        ordered.append(tensor)
    if len(tensors) != len(specs):
        raise Refusal(f"{len(tensors)} inputs where {len(specs)} are expected", hint=_names(specs))
    return ordered


def check_outputs(names: Iterable[str], specs: Sequence[TensorSpec]) -> None:
    """Raises `Refusal` when an output is asked for that the model does not have."""
    for name in names:
        if name not in (known := [spec.name for spec in specs]):
            raise Refusal(f"no output '{name[:100]}'", hint=f"the outputs are {known}")


def _names(specs: Sequence[TensorSpec]) -> str:
    return f"the inputs are {[spec.name for spec in specs]}"
