"""A worker: a process that runs the models, and answers the server's messages until the server goes."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from visagist.errors import NoFaceError, VisagistError
from visagist.server.channel import Message, pack, read

_log = logging.getLogger("visagist.server.worker")


def main(arguments: Sequence[str]) -> None:
    """Serve the socket whose number is the first argument, with the settings that the second one holds as JSON."""
    # The server ends its workers by closing the socket, when what it accepted is answered.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    with socket.socket(fileno=int(arguments[0])) as connection:
        serve(connection, json.loads(arguments[1]))


def serve(connection: socket.socket, settings: dict[str, Any]) -> None:
    """Load the models, say what they are, and answer until the other side closes."""
    sending = threading.Lock()

    def send(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        with sending:
            for piece in pack(head, blobs):
                connection.sendall(piece)

    try:
        workshop = _open_workshop(settings)
    except VisagistError as error:
        send({"fatal": " ".join(str(error).split())})
        return
    send({"ready": workshop.models.describe()})
    with (
        cast(BinaryIO, connection.makefile("rb")) as incoming,
        ThreadPoolExecutor(settings["threads"], thread_name_prefix="visagist-task") as threads,
    ):
        while (message := _next(incoming)) is not None:
            threads.submit(_answer, workshop, message, send)


def _next(incoming: BinaryIO) -> Message | None:
    try:
        return read(incoming)
    except ConnectionError:  # the server was killed
        return None


def _open_workshop(settings: dict[str, Any]) -> Any:
    from visagist.editing.attribute_scores import calibrating_judge
    from visagist.faces.detection import open_finder
    from visagist.faces.landmarks import point_reader
    from visagist.server.models import Models
    from visagist.server.tasks import Workshop

    open_finder()
    models = Models(
        settings["models"], window=settings["window_ms"] / 1000, size=settings["batch"], device=settings["device"],
        backend=settings["backend"],
    )  # fmt: skip
    point_reader()
    calibrating_judge()
    return Workshop(models, settings["max_faces"])


def _answer(workshop: Any, message: Message, send: Any) -> None:
    """Do a task and send what came of it; whatever goes wrong is an answer too."""
    head, started = message.head, time.perf_counter()
    try:
        value, blobs = _do(workshop, message)
        outcome: dict[str, Any] = {"value": value}
    except NoFaceError as error:
        outcome, blobs = _error("no_face", error), []
    except VisagistError as error:
        outcome, blobs = _error("gone" if type(error).__name__ == "PhotographGoneError" else "refused", error), []
    except MemoryError:
        outcome, blobs = {"error": {"kind": "refused", "message": "the picture needs more memory than there is"}}, []
    except Exception:
        _log.exception("task %s failed", head["task"])
        outcome, blobs = {"error": {"kind": "fault", "message": "the server failed at this; its log says how"}}, []
    outcome |= {"id": head["id"], "seconds": time.perf_counter() - started}
    try:
        send(outcome, blobs)
    except OSError:
        return  # the server has gone, and this process is about to end


def _do(workshop: Any, message: Message) -> Any:
    from visagist.server.tasks import TASKS

    return TASKS[message.head["task"]](workshop, message.head["given"], message.blobs)


def _error(kind: str, error: Exception) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": " ".join(str(error).split())}}


if __name__ == "__main__":
    main(sys.argv[1:])
