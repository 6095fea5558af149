"""Lineage over HTTP."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.lineage.schemas import Lineage
from flip_hub.lineage.service import LineageService


class LineageController(Controller):
    path = "/api/v1/models/{name:str}/versions/{version:int}/lineage"
    tags = ("models",)
    guards = (needs(Permission.MODELS_READ),)

    @get()
    async def read_lineage(
        self, lineage: NamedDependency[LineageService], name: FromPath[str], version: FromPath[int]
    ) -> Lineage:
        """The run that made a version, the devices that contributed, and those that serve it now."""
        return await lineage.of_version(name, version)
