"""The audit over HTTP."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from flip_hub.api.pages import Page, Wanted
from flip_hub.audit.entry import LONGEST, Entry
from flip_hub.audit.schemas import Sought
from flip_hub.audit.service import Audit
from flip_hub.audit.verification import ChainVerdict
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission

_Text = Annotated[str | None, QueryParameter(max_length=LONGEST)]
_Time = Annotated[float | None, QueryParameter(ge=0, le=1e11, description="Seconds since 1970.")]


class AuditController(Controller):
    path = "/api/v1/audit"
    tags = ("audit",)
    guards = (needs(Permission.AUDIT_READ),)

    @get()
    async def list_audit(
        self,
        audit: NamedDependency[Audit],
        wanted: NamedDependency[Wanted],
        actor: _Text = None,
        action: _Text = None,
        subject: _Text = None,
        refused: FromQuery[bool | None] = None,
        since: _Time = None,
        until: _Time = None,
    ) -> Page[Entry]:
        """Who did what, and who was refused; newest first. Each filter is the whole value."""
        sought = Sought(actor=actor, action=action, subject=subject, refused=refused, since=since, until=until)
        return await audit.page(sought, wanted)

    @get("/verification")
    async def verify_audit(self, audit: NamedDependency[Audit]) -> ChainVerdict:
        """Whether the whole chain is as the hub wrote it, against the head that this hub keeps outside the registry."""
        return await audit.verify()
