"""A server whose workers are killed, and that is told to end while it works."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import httpx
import pytest
from cli_runs import Command
from portraits import portrait_photo
from servers import PATIENCE, Server, encoded, error_of, running

pytestmark = pytest.mark.slow
PHOTO = encoded(portrait_photo((240, 200), 1.0)[0], "JPEG")


def ask(server: Server) -> int:
    """The status of one edit, on a connection of its own; 0 where the server was not there."""
    try:
        sent = {"files": {"picture": PHOTO}, "data": {"set": "Smiling=-1"}}
        return httpx.post(f"{server.address}/v1/edit", **sent, timeout=PATIENCE).status_code
    except httpx.ConnectError:
        return 0


def busy(server: Server, number: int) -> None:
    """Wait until workers have so many requests in hands."""
    end = time.monotonic() + PATIENCE
    while server.metric("visagist_jobs_in_hands") < number:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_worker_that_dies_is_replaced_and_its_requests_are_answered_and_sigterm_loses_none() -> None:
    with running("--workers", "2", "--threads", "2", "--studio") as server, ThreadPoolExecutor(8) as threads:
        while server.metric("visagist_workers_ready") < 2:
            time.sleep(0.05)
        opened = server.post("/studio/photographs", files={"picture": PHOTO}).json()["id"]
        holder = server.workers()[int(opened.partition(".")[0])]
        answers = [threads.submit(ask, server) for _ in range(12)]
        busy(server, 3)
        os.kill(holder, signal.SIGKILL)
        statuses = Counter(answer.result() for answer in answers)
        assert set(statuses) <= {200, 503}
        assert statuses[200] >= 10
        gone = server.post(f"/studio/photographs/{opened}/judge", json={"steps": []})
        assert (gone.status_code, error_of(gone)["kind"]) == (410, "gone")
        assert server.metric("visagist_worker_restarts_total") == 1
        assert holder not in server.workers()

        answers = [threads.submit(ask, server) for _ in range(6)]
        busy(server, 2)
        time.sleep(0.1)  # until the last connection is accepted: those that are not are nobody's
        for worker in server.workers():
            os.kill(worker, signal.SIGTERM)  # as an init system sends it to every process
        assert server.end() == 0
        statuses = Counter(answer.result() for answer in answers)
        assert statuses[500] == statuses[503] == 0
        assert statuses[200] >= 2
        assert all(status in (0, 200) for status in statuses)


def say(connection: socket.socket) -> tuple[int, str | None]:
    """Ask for the models on a connection: status, and what the answer says of the connection."""
    connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status, answer.getheader("Connection")


def test_connections_that_are_open_at_sigterm_may_send_one_request_more() -> None:
    with running() as server:
        address = ("127.0.0.1", int(server.address.rpartition(":")[2]))
        kept, new = (socket.create_connection(address, PATIENCE) for _ in range(2))
        with kept, new:
            assert say(kept) == (200, None)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.4)  # as a client that does not know yet
            assert say(kept) == say(new) == (200, "close")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, PATIENCE)
        assert server.process.wait(PATIENCE) == 0


def test_a_server_with_a_full_queue_says_when_to_come_again() -> None:
    with running("--threads", "1", "--queue", "1") as server, ThreadPoolExecutor(6) as threads:
        statuses = Counter(threads.map(lambda _: ask(server), range(12)))
    assert set(statuses) == {200, 503}


def test_a_request_that_takes_too_long_is_answered_and_its_worker_replaced() -> None:
    with running("--seconds", "1") as server:
        (stuck,) = server.workers()
        os.kill(stuck, signal.SIGSTOP)
        response = server.post("/v1/faces", files={"picture": PHOTO})
        assert (response.status_code, error_of(response)["kind"]) == (504, "slow")
        end = time.monotonic() + PATIENCE
        while server.metric("visagist_worker_restarts_total") < 1 or not server.metric("visagist_workers_ready"):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert stuck not in server.workers()


def test_a_connection_that_never_says_what_it_asks_for_is_closed() -> None:
    with running("--seconds", "1") as server:
        address = ("127.0.0.1", int(server.address.rpartition(":")[2]))
        with socket.create_connection(address, PATIENCE) as part, socket.create_connection(address, PATIENCE) as kept:
            assert say(kept) == (200, None)
            part.sendall(b"POST /v1/edit HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            assert part.recv(1) == b""
            assert say(kept) == (200, None)


def test_what_cannot_be_served_is_said_before_anything_is(command: Command) -> None:
    assert "no model 'nowhere'" in command("serve", "nowhere", "--port", "0").error
    assert "cannot listen on 192.0.2.1" in command("serve", "--host", "192.0.2.1").error
    assert "judge" in command("serve", "judge-64", "--port", "0").error
