"""Litestar as small as the inference server needs it."""

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin


class App(Litestar):
    """Litestar imports pydantic and attrs wherever they are installed, as they are with Flower: 10 MiB and a third of
    this process' start, for models that are all msgspec's."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]
