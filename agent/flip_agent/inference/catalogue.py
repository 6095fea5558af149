"""What the server says of itself and its models in the protocol's terms; REST and gRPC both tell it."""

import importlib.metadata
from collections.abc import Iterable, Sequence

from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.metrics.metrics import BatchStatistics, Duration, Metrics, Statistics
from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.extensions import (
    EXTENSIONS,
    DynamicBatching,
    IndexEntry,
    InferBatchStatistics,
    InferStatistics,
    InstanceGroup,
    LatestVersions,
    ModelConfig,
    ModelStatistics,
    StatisticDuration,
    TensorConfig,
    VersionPolicy,
)
from flip_agent.inference.protocol.oip import ModelMetadata, ServerMetadata, tensor_metadata
from flip_agent.inference.tensors import DATATYPES
from flip_wire.models import TensorSpec

PLATFORM = "onnxruntime_onnx"
_NEVER = StatisticDuration(count=0, ns=0)


def server_metadata() -> ServerMetadata:
    return ServerMetadata(name="flip", version=importlib.metadata.version("flip-edge"), extensions=EXTENSIONS)


def model_metadata(models: ServedModels, name: str, version: str | None) -> ModelMetadata:
    """Raises `NotReady` or `Unknown`."""
    served, found = models.find(name, version)
    return ModelMetadata(
        name=name,
        versions=[str(each.manifest.version) for each in served.answering],
        platform=PLATFORM,
        inputs=tensor_metadata(found.manifest.inputs),
        outputs=tensor_metadata(found.manifest.outputs),
        local_parts=found.local,
    )


def repository_index(models: ServedModels, *, ready: bool = False, name: str | None = None) -> list[IndexEntry]:
    """`ready`: only those that answer."""
    return [
        IndexEntry(
            name=state.model,
            version=str(state.version),
            state="READY" if state.ready else "UNAVAILABLE",
            reason=state.reason,
        )
        for state in models.states()
        if (state.ready or not ready) and name in (None, state.model)
    ]


def check_load_parameters(given: Iterable[str]) -> None:
    """Raises `Refusal`: they would say what the model is made of."""
    if name := next(iter(given), None):
        message = f"parameter '{name[:100]}' is not taken: a model is made of what its hub signed"
        raise Refusal(message, hint="send no parameters")


def model_config(models: ServedModels, name: str, version: str | None) -> ModelConfig:
    """Raises `NotReady`, `Unknown` or `Unloaded`."""
    _, found = models.find(name, version)
    manifest = found.manifest
    batched = manifest.batched
    return ModelConfig(
        name=name,
        platform=PLATFORM,
        backend="onnxruntime",
        version_policy=VersionPolicy(latest=LatestVersions(num_versions=2)),
        max_batch_size=models.max_rows if batched else 0,
        input=_tensor_configs(manifest.inputs, batched),
        output=_tensor_configs(manifest.outputs, batched),
        instance_group=[InstanceGroup(name=f"{name}_0", kind="KIND_CPU", count=1)],
        dynamic_batching=DynamicBatching(max_queue_delay_microseconds=0) if batched else None,
    )


def _tensor_configs(specs: Sequence[TensorSpec], batched: bool) -> list[TensorConfig]:
    return [
        TensorConfig(
            name=spec.name,
            data_type=f"TYPE_{DATATYPES[spec.dtype].name}",
            dims=spec.shape[1:] if batched else spec.shape,
        )
        for spec in specs
    ]


def model_statistics(
    models: ServedModels, metrics: Metrics, name: str | None = None, version: str | None = None
) -> list[ModelStatistics]:
    """Of all models, or one, or one version of it. Raises `NotReady`, `Unknown` or `Unloaded`."""
    if name is None:
        chosen = [(model.name, model.answering) for model in models.all]
    else:
        served, found = models.find(name, version)
        chosen = [(name, served.answering if version is None else [found])]
    return [
        _statistics(each)
        for model, versions in chosen
        for each in metrics.statistics(model, [version.manifest.version for version in versions])
    ]


def _statistics(of: Statistics) -> ModelStatistics:
    return ModelStatistics(
        name=of.model,
        version=str(of.version),
        last_inference=round(of.last_inference * 1000),
        inference_count=of.inference_count,
        execution_count=of.execution_count,
        inference_stats=InferStatistics(
            success=_duration(of.success),
            fail=_duration(of.fail),
            queue=_duration(of.queue),
            compute_input=_NEVER,
            compute_infer=_duration(of.compute),
            compute_output=_NEVER,
            cache_hit=_NEVER,
            cache_miss=_NEVER,
        ),
        batch_stats=[_batch_statistics(batch) for batch in of.batches],
    )


def _batch_statistics(of: BatchStatistics) -> InferBatchStatistics:
    return InferBatchStatistics(
        batch_size=of.rows, compute_input=_NEVER, compute_infer=_duration(of.compute), compute_output=_NEVER
    )


def _duration(of: Duration) -> StatisticDuration:
    return StatisticDuration(count=of.count, ns=of.nanoseconds)
