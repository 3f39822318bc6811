"""The application: its address spaces behind the guard, over a pool of workers; and how it is run."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from visagist.errors import VisagistError
from visagist.server import api, studio
from visagist.server.bodies import InvalidBodyError, describe_errors
from visagist.server.guard import Guard, JsonLines, error_response
from visagist.server.metrics import Metrics
from visagist.server.pool import RETRY_SECONDS, BusyError, Pool, TaskError, TooSlowError
from visagist.server.settings import ServerSettings
from visagist.version import __version__

_KINDS = {400: "body", 404: "address", 405: "method", 408: "slow", 413: "too_large", 415: "no_picture", 503: "busy"}
_STATUSES = {"refused": 422, "no_face": 422, "gone": 410, "fault": 500}
_BACKLOG = 512
_LIMIT = "VISAGIST_MAX_MEGAPIXELS"
_log = logging.getLogger("visagist.server")


def make_app(settings: ServerSettings) -> FastAPI:
    """The application with these settings; its lifespan starts and ends the workers."""
    metrics = Metrics()
    pool = Pool(settings, metrics)

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


def serve(settings: ServerSettings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and then finish what was accepted; `started` is told the address when it is ready.

    VisagistError where the address cannot be had, or a model cannot be loaded.
    """
    with _listen(settings) as listener, _limited(settings), _logging():
        asyncio.run(_serve(settings, listener, started))


@contextmanager
def _limited(settings: ServerSettings) -> Iterator[None]:
    """Have this process and its workers open pictures of at most so many pixels."""
    before = os.environ.get(_LIMIT)
    os.environ[_LIMIT] = f"{settings.max_megapixels:g}"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LIMIT]
        else:
            os.environ[_LIMIT] = before


@contextmanager
def _logging() -> Iterator[None]:
    """Write what the server logs on stderr, a line of JSON each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)


class _Server(uvicorn.Server):
    """Ends with status 0 when it is told to, where uvicorn lets the signal kill the process after all is answered."""

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


async def _serve(settings: ServerSettings, listener: socket.socket, started: Callable[[str], None]) -> None:
    app = make_app(settings)
    pool: Pool = app.state.pool
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        backlog=_BACKLOG, timeout_keep_alive=30, timeout_graceful_shutdown=max(1, round(settings.seconds) + 5),
    )  # fmt: skip
    server = _Server(config)
    try:
        await pool.start()
        listener.listen(_BACKLOG)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        started(f"http://{shown}:{port}/")
        await server.serve(sockets=[listener])
    finally:
        await pool.close()


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise VisagistError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another --host or --port"
        ) from error
    return listener
