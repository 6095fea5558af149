"""Triton's extensions of the Open Inference Protocol, in the JSON forms that its clients read.

Model repository, model configuration and statistics:
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/README.html
"""

from msgspec import Struct, field

EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
"""That work here."""

# ---- model repository ----


class IndexRequest(Struct, frozen=True, kw_only=True):
    """`POST /v2/repository/index`; the body may be left out."""

    ready: bool = False
    """Only those that answer."""


class IndexEntry(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    state: str
    """`READY` or `UNAVAILABLE`."""
    reason: str
    """Why it is unavailable."""


class RepositoryRequest(Struct, frozen=True, kw_only=True):
    """`POST /v2/repository/models/{model}/load` and `/unload`; the body may be left out."""

    parameters: dict[str, bool | int | float | str] = {}
    """Loading takes none: what a model is made of comes signed from the hub. `unload_dependents`: there are none."""


# ---- model configuration ----


class TensorConfig(Struct, frozen=True, kw_only=True):
    name: str
    data_type: str
    """`TYPE_FP32` and so on."""
    dims: list[int]
    """Without the rows, where rows of several requests are computed together."""


class LatestVersions(Struct, frozen=True, kw_only=True):
    num_versions: int


class VersionPolicy(Struct, frozen=True, kw_only=True):
    latest: LatestVersions


class InstanceGroup(Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    count: int


class DynamicBatching(Struct, frozen=True, kw_only=True):
    max_queue_delay_microseconds: int


class ModelConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    platform: str
    backend: str
    version_policy: VersionPolicy
    max_batch_size: int
    """Rows that are computed at a time, a request may have more; 0: each request is computed alone."""
    input: list[TensorConfig]
    output: list[TensorConfig]
    instance_group: list[InstanceGroup]
    dynamic_batching: DynamicBatching | None = None


# ---- statistics ----


class StatisticDuration(Struct, frozen=True, kw_only=True):
    count: int
    ns: int


class InferStatistics(Struct, frozen=True, kw_only=True):
    success: StatisticDuration
    fail: StatisticDuration
    queue: StatisticDuration
    compute_input: StatisticDuration
    """It is part of `compute_infer` here, and so is `compute_output`."""
    compute_infer: StatisticDuration
    compute_output: StatisticDuration
    cache_hit: StatisticDuration
    """There is no cache."""
    cache_miss: StatisticDuration


class InferBatchStatistics(Struct, frozen=True, kw_only=True):
    batch_size: int
    compute_input: StatisticDuration
    compute_infer: StatisticDuration
    compute_output: StatisticDuration


class ModelStatistics(Struct, frozen=True, kw_only=True):
    """Of one version, since the process started."""

    name: str
    version: str
    last_inference: int
    """Milliseconds since 1970."""
    inference_count: int
    """Rows."""
    execution_count: int
    """Batches."""
    inference_stats: InferStatistics
    batch_stats: list[InferBatchStatistics] = field(default_factory=list[InferBatchStatistics])


class Statistics(Struct, frozen=True, kw_only=True):
    """`GET /v2/models[/{model}[/versions/{version}]]/stats`."""

    model_stats: list[ModelStatistics]
