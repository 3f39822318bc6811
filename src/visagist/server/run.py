"""How the application is run: its first worker is started before anything else, as loading the models takes longest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from visagist.boundary.python_path import environment_variable
from visagist.errors import VisagistError
from visagist.server.pool import Pool
from visagist.server.settings import ServerSettings
from visagist.server.telemetry import Metrics, logging_to_stderr

BACKLOG = 512
_LIMIT = "VISAGIST_MAX_MEGAPIXELS"


def serve(settings: ServerSettings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and then finish what was accepted; `started` is told the address when it is ready.

    VisagistError where the address cannot be had, or a model cannot be loaded.
    """
    limit = environment_variable(_LIMIT, f"{settings.max_megapixels:g}")  # of this process and its workers
    with _listen(settings) as listener, limit, logging_to_stderr():
        asyncio.run(_serve(settings, listener, started))


async def _serve(settings: ServerSettings, listener: socket.socket, started: Callable[[str], None]) -> None:
    pool = Pool(settings, Metrics())
    ready = asyncio.create_task(pool.start())
    try:
        await pool.spawned.wait()
        from visagist.server.app import make_server  # takes a second, in which the worker loads its models

        server = make_server(settings, pool, BACKLOG)
        await ready
        listener.listen(BACKLOG)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        started(f"http://{shown}:{port}/")
        await server.serve(sockets=[listener])
    finally:
        await pool.close()


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By the protocol's number asyncio knows that it is TCP and sends an answer's body at once, not 40 ms after its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise VisagistError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another --host or --port"
        ) from error
    return listener
