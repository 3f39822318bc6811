"""Servers started as a person starts them, in a process of their own on a free port of the loopback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.python_path import child_environment, python_command

MODEL = "ifcvae-gan-factored-64"
PATIENCE = 120.0


class Server:
    """A running server: `get` and `post` ask it, `lines` are what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process, self.address = process, address
        self.lines: list[str] = []
        self.client = httpx.Client(base_url=address, timeout=PATIENCE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.client.post(path, **more)

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and not line.startswith("#"))

    def wait_for(self, text: str) -> str:
        """The first line of the log with this text, once it is there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for line in list(self.lines):
                if text in line:
                    return line
            time.sleep(0.05)
        raise AssertionError(f"{text!r} is not logged: {self.lines}")

    def workers(self) -> list[int]:
        """The processes that run the models."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def end(self) -> int:
        """Ask the server to end, and return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def running(*options: str, models: tuple[str, ...] = (MODEL,), **environment: str) -> Iterator[Server]:
    """A server with these options; it is gone after the block."""
    command = python_command("-m", "visagist", "serve", *models, "--port", "0", *options)
    whole = child_environment({**os.environ, "OMP_NUM_THREADS": "1", **environment})
    whole["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(command, env=whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address, process.stderr.read() if process.stderr else ""
        server = Server(process, address.rstrip("/"))
        try:
            yield server
        finally:
            server.client.close()
            process.kill()
            server.reader.join(PATIENCE)  # before the pipe that it reads is closed


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    """Pixels as the file of a picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def error_of(response: httpx.Response) -> dict[str, Any]:
    """What an answer says is wrong."""
    facts: dict[str, Any] = json.loads(response.content)["error"]
    assert facts["request_id"] == response.headers["X-Request-Id"]
    return facts
