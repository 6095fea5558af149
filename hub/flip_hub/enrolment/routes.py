"""Enrolment over HTTP: people make tokens, devices exchange them."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.devices.schemas import EnrolmentToken, EnrolmentTokenRequest
from flip_hub.enrolment.service import EnrolmentService
from flip_wire.fleet import Enrolled, EnrolRequest


class EnrolmentController(Controller):
    path = "/api/v1"
    tags = ("enrolment",)

    @post("/enrolment-tokens", guards=[needs(Permission.DEVICES_ENROL)])
    async def create_token(
        self, enrolment: NamedDependency[EnrolmentService], data: JSONBody[EnrolmentTokenRequest]
    ) -> EnrolmentToken:
        """For one device; shown only now."""
        return await enrolment.create_token(data.lifetime)

    @post("/enrol")
    async def enrol(self, enrolment: NamedDependency[EnrolmentService], data: JSONBody[EnrolRequest]) -> Enrolled:
        """A token and a public key for an identity. Asking again with the same key gives the same answer."""
        return await enrolment.enrol(data)
