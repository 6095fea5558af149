"""What the server says of itself and its models in the protocol's terms; REST and gRPC both tell it."""

import importlib.metadata

from flip_agent.inference.oip import ModelMetadata, ServerMetadata, tensor_metadata
from flip_agent.inference.served_models import ServedModels

PLATFORM = "onnxruntime_onnx"


def server_metadata() -> ServerMetadata:
    return ServerMetadata(name="flip", version=importlib.metadata.version("flip-edge"), extensions=[])


def model_metadata(models: ServedModels, name: str, version: str | None) -> ModelMetadata:
    """Raises `NotReady` or `Unknown`."""
    served, found = models.find(name, version)
    return ModelMetadata(
        name=name,
        versions=[str(each.manifest.version) for each in served.answering],
        platform=PLATFORM,
        inputs=tensor_metadata(found.manifest.inputs),
        outputs=tensor_metadata(found.manifest.outputs),
    )
