"""Flower's four wrappers around the mean of a round, with what their account needs and Flower 1.41 lacks.

Their noise comes from a generator that apps seed: ours is nobody's. The adaptive ones scale the noise by the clipping
norm of the next round, which may be smaller than the one that clipped, and lower the norm when too many updates are
clipped: here noise belongs to the norm that clipped, and the norm goes where Andrew et al. 2021 send it.
"""

import math
from collections.abc import Iterable
from typing import Any

from flwr.app import Array, ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    Strategy,
)
from flwr.serverapp.strategy.dp_adaptive_clipping import DifferentialPrivacyAdaptiveBase
from flwr.supercore.differential_privacy import compute_stdv

from flip_hub.federation.privacy.schemas import DeviceAdaptive, DeviceFixed, HubAdaptive, HubFixed, OfTheHub
from flip_update.noise import standard_normal, with_noise

_LEAST, _MOST = 1e-9, 1e9
"""Of a clipping norm; the same as a plan may have."""


class HubFixedClipping(DifferentialPrivacyServerSideFixedClipping):
    def _add_noise_to_aggregated_arrays(self, aggregated_arrays: ArrayRecord) -> ArrayRecord:
        return _noised(aggregated_arrays, self)


class DeviceFixedClipping(DifferentialPrivacyClientSideFixedClipping):
    def _add_noise_to_aggregated_arrays(self, aggregated_arrays: ArrayRecord) -> ArrayRecord:
        return _noised(aggregated_arrays, self)


class _Adapting(DifferentialPrivacyAdaptiveBase):
    _next_norm: float

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        arrays, metrics = super().aggregate_train(server_round, replies)  # pyright: ignore[reportAbstractUsage]
        if arrays is not None:
            self.clipping_norm = self._next_norm
        return arrays, metrics

    def _add_noise_to_aggregated_arrays(self, aggregated: ArrayRecord) -> ArrayRecord:
        return _noised(aggregated, self)

    def _noisy_fraction(self, count: int, total: int) -> float:
        """Of the updates that were clipped, among all of the round: `total` counts only those that Flower clips."""
        noisy = count + self.clipped_count_stddev * float(standard_normal(1)[0])
        return min(max(noisy / self.num_sampled_clients, 0.0), 1.0)

    def _geometric_update(self, clipped_fraction: float) -> None:
        factor = math.exp(self.clip_norm_lr * (clipped_fraction - self.target_clipped_quantile))
        self._next_norm = min(max(self.clipping_norm * factor, _LEAST), _MOST)


class HubAdaptiveClipping(_Adapting, DifferentialPrivacyServerSideAdaptiveClipping):
    pass


class DeviceAdaptiveClipping(_Adapting, DifferentialPrivacyClientSideAdaptiveClipping):
    pass


Wrapper = HubFixedClipping | DeviceFixedClipping | HubAdaptiveClipping | DeviceAdaptiveClipping


def wrapper_of(privacy: OfTheHub, mean: Strategy) -> Wrapper:
    """Around `mean`. Its `num_sampled_clients` is to be set before each `aggregate_train`."""
    match privacy:
        case HubFixed():
            return HubFixedClipping(mean, privacy.noise_multiplier, privacy.clipping_norm, 1)
        case DeviceFixed():
            return DeviceFixedClipping(mean, privacy.noise_multiplier, privacy.clipping_norm, 1)
        case HubAdaptive():
            return HubAdaptiveClipping(mean, **_adaptive(privacy))
        case DeviceAdaptive():
            return DeviceAdaptiveClipping(mean, **_adaptive(privacy))


def _adaptive(privacy: HubAdaptive | DeviceAdaptive) -> dict[str, Any]:
    return {
        "noise_multiplier": privacy.noise_multiplier,
        "num_sampled_clients": 1,
        "initial_clipping_norm": privacy.clipping_norm,
        "target_clipped_quantile": privacy.clipped_share,
        "clip_norm_lr": privacy.clipping_rate,
        "clipped_count_stddev": privacy.clipped_count_stddev,
    }


def _noised(arrays: ArrayRecord, wrapper: Any) -> ArrayRecord:
    """A mean, with the noise that its sum needs, divided by the updates in it."""
    stddev = compute_stdv(wrapper.noise_multiplier, wrapper.clipping_norm, wrapper.num_sampled_clients)
    return ArrayRecord({name: Array(with_noise(array.numpy(), stddev)) for name, array in arrays.items()})
