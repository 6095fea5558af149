"""How a run hides what one device has learned, and how much of it became known: epsilon for delta.

In the modes of the hub and the device, what is hidden is whether a device's update was in a round's mean or nothing in
its place: a zero in the sum, half a device in the count of clipped updates (Andrew et al. 2021). How many updates were
in it is no secret. In `local` it is the update itself, whatever the device's data are:
each device's own epsilon, also towards the hub.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

Positive = Annotated[float, Meta(gt=0, le=1e9)]
Norm = Annotated[float, Meta(ge=1e-9, le=1e9)]
Delta = Annotated[float, Meta(ge=1e-15, lt=1)]


class _Budgeted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="mode"):
    budget: Positive
    """Epsilon at most, of the whole run and of those that it goes on from."""
    delta: Delta
    """With which the bound may fail; less than one in the number of devices."""
    metrics: Literal["none", "shown"] = "none"
    """`none`: devices are asked for no metrics, and what they say of their training is dropped. `shown`: as without
    privacy; nothing hides them, and epsilon says nothing of them."""


class _Fixed(_Budgeted, frozen=True, kw_only=True):
    noise_multiplier: Positive
    """Standard deviation of the noise on the sum of a round's updates, in clipping norms."""
    clipping_norm: Norm
    """Euclidean length to which a device's update is cut; where it adapts, of the first round."""

    @property
    def released_with(self) -> float:
        """Standard deviation of a release's noise, in what one device can change of it."""
        return self.noise_multiplier


class _Adaptive(_Fixed, frozen=True, kw_only=True):
    """Clipping norms that follow a quantile of the updates' lengths (Andrew et al. 2021, arXiv:1905.03871).

    `noise_multiplier` is that of both releases of a round together, the mean and the count of clipped updates.
    """

    clipped_count_stddev: Positive
    """Standard deviation of the noise on that count, in devices: a twentieth of a round's devices is usual. More than
    half the noise multiplier."""
    clipped_share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Of the updates that should be clipped."""
    clipping_rate: Annotated[float, Meta(gt=0, le=10)] = 0.2
    """How fast the norm follows: in a round by a factor of exp(rate) at most."""


class HubFixed(_Fixed, frozen=True, kw_only=True, tag="hub-fixed"):
    """The hub clips updates and adds noise to their mean."""


class DeviceFixed(_Fixed, frozen=True, kw_only=True, tag="device-fixed"):
    """Devices clip their updates; the hub adds noise."""


class HubAdaptive(_Adaptive, frozen=True, kw_only=True, tag="hub-adaptive"):
    """As `HubFixed`."""


class DeviceAdaptive(_Adaptive, frozen=True, kw_only=True, tag="device-adaptive"):
    """As `DeviceFixed`; a device's reply says whether it was clipped."""


class Local(_Budgeted, frozen=True, kw_only=True, tag="local"):
    """Each device clips its update and adds noise to it before it leaves."""

    clipping_norm: Norm
    sensitivity: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    """What the noise is scaled by; 0: twice the clipping norm, by which two updates can differ."""
    message_epsilon: Positive
    message_delta: Delta
    """Of one message, by which the noise is chosen: `sensitivity` * sqrt(2 ln(1.25 / delta)) / epsilon."""

    @property
    def scaled_by(self) -> float:
        return self.sensitivity or 2 * self.clipping_norm

    @property
    def stddev(self) -> float:
        return self.scaled_by * math.sqrt(2 * math.log(1.25 / self.message_delta)) / self.message_epsilon

    @property
    def released_with(self) -> float:
        """As above: what counts is by how much two updates can differ, whatever the noise was scaled by."""
        return self.stddev / (2 * self.clipping_norm)


OfTheHub = HubFixed | HubAdaptive | DeviceFixed | DeviceAdaptive
"""Noise is added on the hub, to what many devices sent together."""
Privacy = OfTheHub | Local


class Release(Struct, frozen=True, kw_only=True):
    """Something that depends on devices' data became known, with Gaussian noise."""

    noise_multiplier: Annotated[float, Meta(gt=0)]
    """Its standard deviation, in what one device can change."""
    times: Annotated[int, Meta(ge=1)]


class PrivacySpent(Struct, frozen=True, kw_only=True):
    mode: str
    epsilon: float
    """So far. In `local` of a device that took part in every round, else of the run."""
    delta: float
    budget: float
    planned: float | None
    """Epsilon at the end of all planned rounds; None when their number is not known."""
    releases: list[Release]
    """All that went into epsilon, those of the runs that this one goes on from included."""
