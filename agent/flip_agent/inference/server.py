"""`flip-agent serve`: answers with the newest good model, with or without hub and `flip-agent run`. No torch here.

It listens before any model is loaded, so that a restart refuses nobody; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import logging
import signal
import socket

import uvloop

from flip_agent.inference.credentials import Credentials, read_credentials
from flip_agent.inference.http.listener import Server, listen, url
from flip_agent.inference.instance import Instance
from flip_agent.instances import Instances
from flip_agent.memory import give_memory_back, hoard_nothing
from flip_agent.settings import InferenceSection, Settings
from flip_runtime.errors import ConfigError, Fatal
from flip_runtime.supervisor import Service, supervise
from flip_runtime.systemd import Notifier

log = logging.getLogger(__name__)


def serve(settings: Settings, name: str) -> None:
    """The instance of that name. Returns after SIGTERM or SIGINT. Raises `ConfigError`."""
    hoard_nothing()
    notifier = Notifier()
    where = Instances(settings.inference).settings(name)
    credentials = read_credentials(where)
    with contextlib.closing(listen(where)) as listener:
        uvloop.run(_serve(settings, name, where, listener, credentials, notifier))


async def _serve(
    settings: Settings,
    name: str,
    where: InferenceSection,
    listener: socket.socket,
    credentials: Credentials,
    notifier: Notifier,
) -> None:
    instance = Instance(settings, name, where, credentials)
    server = Server(instance.app(), credentials.tls)
    give_memory_back()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        notifier.stopping()
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    log.info("listening", extra={"url": url(where)})
    notifier.ready()
    try:
        async with asyncio.TaskGroup() as group:
            watchdog = Service("watchdog", notifier.feed_watchdog)
            beside = group.create_task(supervise([*instance.services(), watchdog]))
            await server.serve(sockets=[listener])
            beside.cancel()
    except* (ConfigError, Fatal) as errors:
        raise errors.exceptions[0] from None
    finally:
        await instance.close()
