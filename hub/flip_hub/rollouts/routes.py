"""Rollouts over HTTP."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.rollouts.schemas import Reason, RingDevice, Rollout, RolloutRequest, RolloutStatus
from flip_hub.rollouts.service import RolloutService


class RolloutController(Controller):
    path = "/api/v1/rollouts"
    tags = ("models",)

    @get(guards=[needs(Permission.MODELS_READ)])
    async def list_rollouts(
        self,
        rollouts: NamedDependency[RolloutService],
        wanted: NamedDependency[Wanted],
        model: FromQuery[str | None] = None,
        status: FromQuery[RolloutStatus | None] = None,
    ) -> Page[Rollout]:
        """Newest first."""
        return await rollouts.page(wanted, model, status)

    @post(guards=[needs(Permission.MODELS_OPERATE)])
    async def start_rollout(
        self, rollouts: NamedDependency[RolloutService], me: NamedDependency[Me], data: JSONBody[RolloutRequest]
    ) -> Rollout:
        """Brings a version to the first ring; 409 while another version of the model is being brought."""
        return await rollouts.start(data, me.username)

    @get("/{rollout:str}", guards=[needs(Permission.MODELS_READ)])
    async def read_rollout(self, rollouts: NamedDependency[RolloutService], rollout: FromPath[str]) -> Rollout:
        """Its rings, what each gate says, and what has become of it."""
        return await rollouts.get(rollout)

    @get("/{rollout:str}/devices", guards=[needs(Permission.MODELS_READ)])
    async def list_devices(
        self,
        rollouts: NamedDependency[RolloutService],
        wanted: NamedDependency[Wanted],
        rollout: FromPath[str],
        ring: FromQuery[str | None] = None,
    ) -> Page[RingDevice]:
        """The enrolled devices by name, each with its ring; with `ring` those of that one."""
        return await rollouts.devices(rollout, wanted, ring)

    @post("/{rollout:str}/halt", guards=[needs(Permission.MODELS_OPERATE)], status_code=200)
    async def halt_rollout(
        self,
        rollouts: NamedDependency[RolloutService],
        me: NamedDependency[Me],
        rollout: FromPath[str],
        data: JSONBody[Reason],
    ) -> Rollout:
        """No further ring opens; the devices that have the version go on, and are watched."""
        return await rollouts.halt(rollout, data.reason, me.username)

    @post("/{rollout:str}/resume", guards=[needs(Permission.MODELS_OPERATE)], status_code=200)
    async def resume_rollout(
        self,
        rollouts: NamedDependency[RolloutService],
        me: NamedDependency[Me],
        rollout: FromPath[str],
        data: JSONBody[Reason],
    ) -> Rollout:
        """One that a person has halted goes on."""
        return await rollouts.resume(rollout, data.reason, me.username)

    @post("/{rollout:str}/rollback", guards=[needs(Permission.MODELS_OPERATE)], status_code=200)
    async def roll_back(
        self,
        rollouts: NamedDependency[RolloutService],
        me: NamedDependency[Me],
        rollout: FromPath[str],
        data: JSONBody[Reason],
    ) -> Rollout:
        """Every device shall serve the version before, and the version is withdrawn: the hub brings it to nobody."""
        return await rollouts.roll_back(rollout, data.reason, me.username)
