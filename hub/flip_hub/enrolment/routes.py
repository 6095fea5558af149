"""Enrolment over HTTP: people make tokens, devices exchange them."""

from litestar import Controller, MediaType, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.enrolment.schemas import EnrolmentToken, EnrolmentTokenRequest, ListedToken
from flip_hub.enrolment.service import EnrolmentService
from flip_wire.fleet import Enrolled, EnrolRequest


class EnrolmentController(Controller):
    path = "/api/v1"
    tags = ("enrolment",)

    @post("/enrolment-tokens", guards=[needs(Permission.DEVICES_ENROL)])
    async def create_token(
        self,
        enrolment: NamedDependency[EnrolmentService],
        me: NamedDependency[Me],
        data: JSONBody[EnrolmentTokenRequest],
    ) -> EnrolmentToken:
        """For one device or several; shown only now."""
        return await enrolment.create_token(data, by=me.username)

    @get("/enrolment-tokens", guards=[needs(Permission.DEVICES_ENROL)])
    async def list_tokens(
        self, enrolment: NamedDependency[EnrolmentService], wanted: NamedDependency[Wanted]
    ) -> Page[ListedToken]:
        """Newest first; those that are over are shown for a week."""
        return await enrolment.tokens(wanted)

    @delete("/enrolment-tokens/{token:str}", guards=[needs(Permission.DEVICES_ENROL)], status_code=200)
    async def revoke_token(self, enrolment: NamedDependency[EnrolmentService], token: FromPath[str]) -> ListedToken:
        """By its id. No device enrols with it any more; those that have stay."""
        return await enrolment.revoke_token(token)

    @get("/ca", media_type=MediaType.TEXT)
    async def authority(self, enrolment: NamedDependency[EnrolmentService]) -> str:
        """The hub's certificate authority, as PEM: trust it only if you know its fingerprint from elsewhere."""
        return enrolment.ca

    @post("/enrol")
    async def enrol(self, enrolment: NamedDependency[EnrolmentService], data: JSONBody[EnrolRequest]) -> Enrolled:
        """A token and a public key for an identity. Asking again with the same key gives the same answer."""
        return await enrolment.enrol(data)
