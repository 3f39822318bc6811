"""The application: its address spaces behind the guard, over a pool of workers."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from visagist.errors import VisagistError
from visagist.server import api, studio
from visagist.server.bodies import InvalidBodyError, describe_errors
from visagist.server.guard import Guard, error_response
from visagist.server.pool import RETRY_SECONDS, BusyError, Pool, TaskError, TooSlowError
from visagist.server.settings import ServerSettings
from visagist.server.telemetry import Metrics
from visagist.version import __version__

_KINDS = {400: "body", 404: "address", 405: "method", 408: "slow", 413: "too_large", 415: "no_picture", 503: "busy"}
LINGER_SECONDS = 1.0  # for which a connection that is kept alive may still send a request after SIGTERM
_ACCEPTING_SECONDS, _TICK_SECONDS = 0.1, 0.02
_SO_ATTACH_FILTER = 26
_STATUSES = {"refused": 422, "no_face": 422, "gone": 410, "fault": 500}


def make_app(settings: ServerSettings, pool: Pool | None = None) -> FastAPI:
    """The application with these settings, over the workers of `pool`; without one, its lifespan starts and ends some."""
    pool = pool or Pool(settings, Metrics())
    metrics = pool.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await pool.start()
            yield
        finally:
            await pool.close()

    app = FastAPI(
        title="visagist", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Edits attributes of faces in pictures. What it answers says of itself that it is edited.",
    )  # fmt: skip
    app.state.settings, app.state.metrics, app.state.pool = settings, metrics, pool
    app.include_router(api.router)
    if settings.studio:
        app.include_router(studio.router)
    _add_handlers(app)
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"], expose_headers=["X-Request-Id", "Retry-After"],
        )  # fmt: skip
    return app


def _add_handlers(app: FastAPI) -> None:
    """Say every error in one form."""

    def answer(request: Request, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
        request.state.facts.update(kind=kind)
        return error_response(status, kind, message, request.state.request_id, headers)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        kind = _KINDS.get(error.status_code, "refused")
        return answer(request, error.status_code, kind, error.detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, 422, "invalid", describe_errors([dict(line) for line in error.errors()]))

    @app.exception_handler(InvalidBodyError)
    async def invalid_body(request: Request, error: InvalidBodyError) -> Response:
        return answer(request, 422, "invalid", str(error))

    @app.exception_handler(VisagistError)
    async def refused(request: Request, error: VisagistError) -> Response:
        return answer(request, 422, "refused", str(error))

    @app.exception_handler(TaskError)
    async def failed(request: Request, error: TaskError) -> Response:
        return answer(request, _STATUSES[error.kind], error.kind, str(error))

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        return answer(request, 503, "busy", f"{error}: come again", {"Retry-After": str(RETRY_SECONDS)})

    @app.exception_handler(TooSlowError)
    async def slow(request: Request, error: TooSlowError) -> Response:
        return answer(request, 504, "slow", str(error))


class _Server(uvicorn.Server):
    """Ends with status 0 when it is told to, and answers all that clients had sent or began to send until then.

    uvicorn closes connections that are kept alive at once, on which the next request may be on its way, and lets the
    signal kill the process in the end. It waits for the head of a request for ever.
    """

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._seconds = seconds
        self._silent_since: dict[Any, float] = {}

    async def on_tick(self, counter: int) -> bool:
        """Close connections on which no whole head of a request comes within the seconds of a request."""
        now, known = time.monotonic(), self._silent_since
        silent = [connection for connection in self.server_state.connections if _is_silent(connection)]
        self._silent_since = {connection: known.get(connection, now) for connection in silent}
        for connection, since in self._silent_since.items():
            if now - since > self._seconds:
                connection.transport.close()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection; let each known one send one request more, and say that it is the last; then end."""
        self._say_close(self.server_state)
        for cycle in self._cycles():
            self._say_close(cycle)
        for listener in sockets or []:
            _ignore_new_connections(listener)
        await asyncio.sleep(_ACCEPTING_SECONDS)  # so that those which wait at the listening socket are accepted
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        end = time.monotonic() + LINGER_SECONDS
        while self._quiet_connections() and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(_TICK_SECONDS)
        await super().shutdown(sockets)

    @staticmethod
    def _say_close(holder: Any) -> None:
        holder.default_headers = [*holder.default_headers, (b"connection", b"close")]

    def _cycles(self) -> list[Any]:
        """The last request of each connection, and its answer."""
        cycles = [getattr(connection, "cycle", None) for connection in self.server_state.connections]
        return [cycle for cycle in cycles if cycle is not None]

    def _quiet_connections(self) -> int:
        """How many connections may still send a request that is not known yet."""
        return len(self.server_state.connections) - sum(not cycle.response_complete for cycle in self._cycles())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _is_silent(connection: Any) -> bool:
    """Whether a connection is new or has sent a part of a head; one that is kept alive has a timer of its own."""
    cycle = getattr(connection, "cycle", None)
    return (cycle is None or cycle.response_complete) and connection.timeout_keep_alive_task is None


def _ignore_new_connections(listener: socket.socket) -> None:
    """Have Linux drop what would open a connection, as closing a socket resets those that it has not yet handed over.

    Their clients try again within a second and are refused then. Elsewhere, and where the kernel lets only root do it, one
    that comes in the instant in which the socket is closed is reset before it has sent anything.
    """
    if sys.platform != "linux":
        return
    load_flags, jump_if_set, give, syn = 0x30, 0x45, 0x06, 0x02  # of a TCP header's 14th byte, in classic BPF
    program = [(load_flags, 0, 0, 13), (jump_if_set, 0, 1, syn), (give, 0, 0, 0), (give, 0, 0, 0xFFFFFFFF)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    pointer = struct.pack("HL", len(program), ctypes.addressof(code))
    with suppress(PermissionError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def make_server(settings: ServerSettings, pool: Pool, backlog: int) -> uvicorn.Server:
    """The application over workers that others start and end, as uvicorn serves it."""
    config = uvicorn.Config(
        make_app(settings, pool), lifespan="off", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, backlog=backlog, timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(settings.seconds) + 5),
    )  # fmt: skip
    return _Server(config, settings.seconds)
