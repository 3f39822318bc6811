"""What every request passes: its name, its host, its token, its size and its time; and what is written of it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visagist.server.settings import ServerSettings
from visagist.server.telemetry import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OPEN = ("/healthz", "/readyz", "/openapi.json", "/")  # what needs no token: nothing is told or done there
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_SPARE = 16  # requests that are read while all others wait or are worked on
_log = logging.getLogger("visagist.server")


def error_response(
    status: int, kind: str, message: str, request_id: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The body of an answer that is none."""
    text = message.encode("utf-8", "backslashreplace").decode()  # halves of characters, which JSON can name, are none
    return JSONResponse({"error": {"kind": kind, "message": text, "request_id": request_id}}, status, headers)


class Guard:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._open = 0  # requests whose bodies may lie in memory
        self._most_open = settings.queue + settings.workers * settings.threads + _SPARE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, headers = time.perf_counter(), Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        deadline = asyncio.get_running_loop().time() + self.settings.seconds
        scope.setdefault("state", {}).update(request_id=request_id, deadline=deadline, facts={})
        sent: dict[str, int] = {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                outgoing = MutableHeaders(scope=message)
                outgoing["X-Request-Id"] = request_id
                for name, value in _HEADERS.items():
                    outgoing.setdefault(name, value)
                outgoing.setdefault("Cache-Control", "no-store")
            await send(message)

        body = _Body(receive, self.settings.max_bytes, deadline)
        self._open += 1
        try:
            refusal = self._refuse(scope, headers)
            if refusal is None:
                await self.app(scope, body, answer)
            else:
                status, kind, message = refusal
                more = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status)
                await error_response(status, kind, message, request_id, more)(scope, receive, answer)
        except Exception:
            _log.exception("a request failed", extra={"facts": {"request": request_id}})
            if not sent:
                text = "the server failed at this; its log says how"
                await error_response(500, "fault", text, request_id)(scope, receive, answer)
        finally:
            self._open -= 1
            self._note(scope, request_id, sent.get("status", 0), body.size, time.perf_counter() - started)

    def _refuse(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        """Status, kind and message of what is refused before it is read."""
        host, allowed = headers.get("host", ""), self.settings.allowed_hosts
        if allowed and _host_of(f"//{host}")[0] not in allowed:
            return 421, "host", f"this server is not called {host!r}: start it with --allow-host, or ask it by its own name"
        origin = headers.get("origin")
        if origin is not None and origin not in self.settings.origins and _host_of(origin)[1] != host:
            return 403, "origin", "pages of other sites may not use this server: start it with --allow-origin"
        is_open = scope["path"] in _OPEN or scope["path"].startswith("/static/")
        if not is_open and not self._is_allowed(headers.get("authorization", "")):
            return 401, "token", "give the server's token: Authorization: Bearer TOKEN"
        if scope["method"] == "POST" and self._open > self._most_open:
            return 503, "busy", "too many requests are open: come again"
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self.settings.max_bytes:
            return 413, "too_large", _too_large(self.settings.max_bytes)
        return None

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return self.settings.token is None or (scheme.lower() == "bearer" and self.settings.accepts(token.strip()))

    def _note(self, scope: Scope, request_id: str, status: int, size: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD", "OPTIONS") else "OTHER"
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        facts = {
            "request": request_id, "method": method, "route": route, "status": status, "bytes": size,
            "ms": round(1000 * seconds, 1), **scope["state"]["facts"],
        }  # fmt: skip
        level = logging.DEBUG if route in ("/healthz", "/readyz", "/metrics", "/static/{name}") else logging.INFO
        _log.log(level, "request", extra={"facts": facts})


class _Body:
    """The body of a request as it arrives: HTTPException where it is too large, or takes too long."""

    def __init__(self, receive: Receive, limit: int, deadline: float) -> None:
        self._receive, self._limit, self._deadline = receive, limit, deadline
        self.size, self._whole = 0, False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # of the client's going
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not arrive in time") from None
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self.size > self._limit:
                raise HTTPException(413, _too_large(self._limit))
        return message


def _host_of(address: str) -> tuple[str | None, str]:
    """The host of an address, by itself and with its port; nothing of one that makes no sense."""
    try:
        parts = urlsplit(address)
        return parts.hostname, parts.netloc
    except ValueError:
        return None, ""


def _too_large(limit: int) -> str:
    return f"the body has more than the {limit / (1 << 20):g} MiB that this server takes: make the picture smaller"
