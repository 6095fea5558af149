"""The hub itself over HTTP."""

from litestar import Controller, get
from litestar.di import NamedDependency

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.system.schemas import Setting, SystemState
from flip_hub.system.service import System


class SystemController(Controller):
    path = "/api/v1/system"
    tags = ("hub",)

    @get(guards=[needs(Permission.HUB_READ)])
    async def read_system(self, system: NamedDependency[System]) -> SystemState:
        """How the hub that answers and its parts are."""
        return await system.state()

    @get("/settings", guards=[needs(Permission.HUB_OPERATE)], sync_to_thread=False)
    def list_settings(self, system: NamedDependency[System]) -> list[Setting]:
        """What the hub was set to when it was started, and where. Secrets are in files, which are only named."""
        return system.settings()
