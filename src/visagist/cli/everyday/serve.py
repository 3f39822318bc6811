"""`visagist serve` and `visagist studio`: faces edited over HTTP, and on a page."""

from __future__ import annotations

import importlib.util
import os
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from visagist.cli.console import print_line, say, takes_options, tell_terms_once
from visagist.errors import VisagistError

if TYPE_CHECKING:
    from visagist.server.settings import ServerSettings

LOOPBACK = "127.0.0.1"
NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
BACKEND = typer.Option(help="torch, onnx or auto, the quicker on the device.")
MODELS = typer.Argument(help="Shipped models, model folders or hub:owner/name; all shipped models if none.")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What the command line says, each field an argument or option of its own."""

    models: Annotated[list[str] | None, MODELS] = None
    host: Annotated[str, typer.Option(help="The address to listen on; others than the loopback can be reached.")] = LOOPBACK
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that run the models.")] = 1
    threads: Annotated[int, typer.Option(min=1, max=64, help="Requests that a worker has in hands at a time.")] = 8
    queue: Annotated[int, typer.Option(min=0, max=10_000, help="Requests that wait; more are answered with 503.")] = 64
    window: Annotated[float, typer.Option(min=0, max=1000, help="Milliseconds that a face waits for others to join it.")] = 2
    batch: Annotated[int, typer.Option(min=1, max=256, help="Faces that pass a network together, at most.")] = 16
    max_mb: Annotated[float, typer.Option(min=0.01, max=1000, help="Of a request, in MiB.")] = 25
    max_megapixels: Annotated[float, typer.Option(min=0.001, max=1000, help="Of a picture.")] = 40
    max_faces: Annotated[int, typer.Option(min=1, max=1000, help="That one request edits.")] = 16
    max_frames: Annotated[int, typer.Option(min=1, max=5000, help="Of an animation.")] = 1
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="That a request may take.")] = 30
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the bearer token that requests give; else $VISAGIST_TOKEN.")
    ] = None
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may use the server (CORS); repeatable.")
    ] = None
    allow_host: Annotated[list[str] | None, typer.Option(help="A name that the server is asked by; repeatable.")] = None
    studio: Annotated[bool, typer.Option("--studio", help="Serve the studio's page at / too.")] = False
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    backend: Annotated[str, BACKEND] = "auto"


@takes_options(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Edit faces over HTTP: POST /v1/edit, /v1/faces, /v1/classify, GET /v1/models, /metrics, /healthz, /readyz.

    It listens on this machine alone unless --host says otherwise; give it a token then, and TLS by a proxy. Nothing is
    stored, no address is fetched. SIGTERM finishes what was accepted. /openapi.json says what requests look like.

    \b
    Examples:
      visagist serve
      visagist serve ifcvae-gan-factored-64 --workers 2 --port 9000
      VISAGIST_TOKEN=$(openssl rand -hex 32) visagist serve --host 0.0.0.0
      curl -F picture=@me.jpg -F set=Smiling=1 http://127.0.0.1:8000/v1/edit -o smiling.jpg
    """
    _serve(_settings(options), None)


def studio(
    models: Annotated[list[str] | None, MODELS] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Edit faces on a page in your browser: drop a photograph, move a slider, download what you like.

    It runs on this machine, needs no network, and keeps no photograph. Ctrl-C ends it.

    \b
    Examples:
      visagist studio
      visagist studio runs/first --port 9000 --no-open
    """
    settings = replace(_settings(ServeOptions(models=models, port=port, studio=True, device=device)), host=LOOPBACK)

    def opened(address: str) -> None:
        say("Ctrl-C ends the studio")
        if open_page and not webbrowser.open(address + (f"#token={quote(settings.token)}" if settings.token else "")):
            say("no browser could be opened: open this address yourself")

    _serve(settings, opened)


def _settings(options: ServeOptions) -> ServerSettings:
    _require_server()
    from visagist.server.settings import ServerSettings, read_token

    return ServerSettings(
        host=options.host, port=options.port, models=tuple(options.models or ()), workers=options.workers,
        threads=options.threads, queue=options.queue, window_ms=options.window, batch=options.batch,
        max_bytes=round(options.max_mb * (1 << 20)), max_megapixels=options.max_megapixels, max_faces=options.max_faces,
        max_frames=options.max_frames, seconds=options.seconds, device=options.device, backend=options.backend,
        origins=tuple(options.allow_origin or ()), hosts=tuple(options.allow_host or ()), studio=options.studio,
        token=read_token(options.token_file, os.environ),
    )  # fmt: skip


def _serve(settings: ServerSettings, opened: Callable[[str], None] | None) -> None:
    from visagist.server.run import serve as run

    if not settings.is_local and settings.token is None:
        say(f"! {settings.host} is for others to reach, and no token is set: anybody may use it. Set VISAGIST_TOKEN")
    if not settings.models:
        tell_terms_once()

    def started(address: str) -> None:
        print_line(address)
        if opened is not None:
            opened(address)

    run(settings, started)


def _require_server() -> None:
    """VisagistError where the extra is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise VisagistError(f"a server needs {', '.join(missing)}: pip install visagist[serve]")
