"""A real S3 server in this process, behind a proxy that fails now and then: 503, slow answers, connections that are cut."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
Fault = Callable[[str, str], str]  # takes method and path; "", "503", "slow", "cut" or "404"


def some_faults(seed: int, share: float = 0.3) -> Fault:
    """A fault in this share of the requests, of each kind alike."""
    draw = random.Random(seed)
    return lambda method, path: draw.choice(["503", "slow", "cut"]) if draw.random() < share else ""


class FaultyS3:
    """The proxy's address, the fault that it draws for each request, and how many of each there were."""

    def __init__(self, host: str, port: int) -> None:
        self.fault: Fault = lambda method, path: ""
        self.counts: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, host, port))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: FaultyS3, host: str, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self._body()
            fault = proxy.fault(self.command, self.path)
            proxy.counts[fault] = proxy.counts.get(fault, 0) + 1
            if fault == "503":
                self._answer(503, {"Content-Type": "application/xml"}, BUSY)
                return
            if fault == "slow":
                time.sleep(0.2)
            connection = http.client.HTTPConnection(host, port)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self._answer(answer.status, dict(answer.getheaders()), data, cut=fault == "cut")

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)

        def _answer(self, status: int, headers: dict[str, str], data: bytes, cut: bool = False) -> None:
            self.send_response_only(status)
            length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """The server and its proxy, until the block ends."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = FaultyS3(*server.get_host_and_port())
    try:
        yield proxy
    finally:
        proxy.end()
        server.stop()
