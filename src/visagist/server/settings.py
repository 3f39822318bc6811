"""What a server is told: where it listens, what it serves, and what a request may cost."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from visagist.boundary.untrusted import read_text
from visagist.errors import VisagistError

TOKEN_VARIABLE = "VISAGIST_TOKEN"
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_TOKEN_BYTES = 4096
_SHORTEST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A server's settings.

    models           names of shipped models, model folders or hub:owner/name; none: all shipped models
    workers          processes that run the models; each has `threads` requests in its hands
    queue            requests that wait for a worker; one more is answered with 503
    window_ms        how long a face waits for others that pass the network with it; batch is how many at most
    max_frames       of an animation
    seconds          a request may take, from its first byte on
    backend          torch, onnx, or auto: onnxruntime on a processor, where it is installed and the model has graphs
    origins          of other pages that browsers let read answers (CORS)
    hosts            names that the Host header of a request may have; none: any, but on the loopback only its own
    studio           whether the studio is served at `/`, whose open photographs are held in memory
    """

    host: str = "127.0.0.1"
    port: int = 8000
    models: tuple[str, ...] = ()
    workers: int = 1
    threads: int = 8
    queue: int = 64
    window_ms: float = 2.0
    batch: int = 16
    max_bytes: int = 25 << 20
    max_megapixels: float = 40.0
    max_faces: int = 16
    max_frames: int = 1
    seconds: float = 30.0
    device: str = "auto"
    backend: str = "auto"
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    studio: bool = False
    token: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach the server."""
        return is_loopback(self.host)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names that the Host header may have; none means any. Without a token another page could pose as this machine."""
        if self.hosts:
            return (*self.hosts, *LOCAL_NAMES)
        return LOCAL_NAMES if self.is_local and self.token is None else ()

    def accepts(self, token: str) -> bool:
        """Whether a bearer token is this server's, in the same time whatever it is."""
        return self.token is None or hmac.compare_digest(token.encode(), self.token.encode())

    def for_worker(self) -> dict[str, Any]:
        """What a worker has to know."""
        names = ("models", "threads", "window_ms", "batch", "max_faces", "device", "backend")
        return {name: getattr(self, name) for name in names}


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The bearer token in a file or in $VISAGIST_TOKEN; None without either. VisagistError for one that is too short."""
    if path is None:
        text, where = environment.get(TOKEN_VARIABLE), f"${TOKEN_VARIABLE}"
        if text is None:
            return None
    else:
        where = str(path)
        try:
            text = read_text(path, _TOKEN_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise VisagistError(f"cannot read the token in {path} ({error}): give a file with one line of text") from error
    token = text.strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise VisagistError(
            f"{where} holds no token of at least {_SHORTEST_TOKEN} printable characters without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token
