"""What is refused before a worker sees it: by token, host, origin, size and form."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from servers import encoded, error_of

from visagist.errors import VisagistError
from visagist.server.app import make_app
from visagist.server.settings import ServerSettings, read_token
from visagist.server.telemetry import JsonLines

TOKEN = "a-token-of-enough-characters"
GREY = encoded(np.full((8, 8, 3), 128, np.uint8))


def ask(settings: ServerSettings, method: str, path: str, host: str = "127.0.0.1:8000", **more: Any) -> httpx.Response:
    """The answer of an application without workers."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **more)

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/v1/models", "/metrics"])
@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer"])
def test_without_its_token_a_server_tells_nothing(path: str, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    response = ask(ServerSettings(token=TOKEN), "GET", path, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(response)["kind"] == "token"


def test_with_its_token_a_server_answers() -> None:
    response = ask(ServerSettings(token=TOKEN), "GET", "/metrics", headers={"Authorization": f"bearer {TOKEN}"})
    assert response.status_code == 200


def test_probes_need_no_token() -> None:
    assert ask(ServerSettings(token=TOKEN), "GET", "/healthz").status_code == 200
    response = ask(ServerSettings(token=TOKEN), "GET", "/readyz")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_on_the_loopback_a_page_that_poses_as_this_machine_is_refused() -> None:
    assert ask(ServerSettings(), "GET", "/v1/models", host="evil.example").status_code == 421
    assert ask(ServerSettings(), "GET", "/v1/models", host="localhost:8000").status_code == 200
    assert ask(ServerSettings(hosts=("faces.example",)), "GET", "/v1/models", host="faces.example").status_code == 200


@pytest.mark.parametrize("host", ["[::1", "[", "a" * 300, "user@127.0.0.1:8000@evil.example"])
def test_a_host_that_makes_no_sense_is_refused(host: str) -> None:
    for headers in ({"Host": host}, {"Host": "127.0.0.1", "Origin": f"http://{host}"}):
        assert ask(ServerSettings(), "GET", "/v1/models", headers=headers).status_code in (403, 421)


def test_more_requests_than_fit_into_memory_are_not_read() -> None:
    settings = ServerSettings(queue=0, threads=1, seconds=2)

    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(1)
        yield b"x"

    async def run() -> list[int]:
        transport = httpx.ASGITransport(make_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            kind = {"Content-Type": "application/json"}
            sent = [client.post("/v1/faces", content=slow(), headers=kind) for _ in range(30)]
            return [response.status_code for response in await asyncio.gather(*sent)]

    statuses = asyncio.run(run())
    assert set(statuses) == {400, 503}
    assert statuses.count(503) == 30 - 17


def test_pages_of_other_sites_are_refused_unless_listed() -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    assert error_of(ask(ServerSettings(), "GET", "/v1/models", headers=foreign))["kind"] == "origin"
    own = ask(ServerSettings(), "GET", "/v1/models", headers={"Origin": "http://127.0.0.1:8000"})
    assert (own.status_code, own.headers.get("Access-Control-Allow-Origin")) == (200, None)
    listed = ask(ServerSettings(origins=(foreign["Origin"],)), "GET", "/v1/models", headers=foreign)
    assert listed.headers["Access-Control-Allow-Origin"] == foreign["Origin"]


def test_a_preflight_of_a_listed_site_needs_no_token() -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    settings = ServerSettings(token=TOKEN, origins=("https://elsewhere.example",))
    assert ask(settings, "OPTIONS", "/v1/edit", headers=asked).status_code == 200
    assert ask(ServerSettings(token=TOKEN), "OPTIONS", "/v1/edit", headers=asked).status_code == 403


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() -> None:
    settings = ServerSettings(max_bytes=1000)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    said = ask(settings, "POST", "/v1/faces", files={"picture": b"x" * 2000})
    unsaid = ask(settings, "POST", "/v1/faces", content=parts(), headers={"Content-Type": "multipart/form-data; boundary=a"})
    for response in (said, unsaid):
        assert response.status_code == 413
        assert error_of(response)["kind"] == "too_large"


def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(30)

    kind = {"Content-Type": "application/json"}
    response = ask(ServerSettings(seconds=0.2), "POST", "/v1/faces", content=parts(), headers=kind)
    assert response.status_code == 408


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": []}, 422, "object"),
        ({"json": {"picture": "***"}}, 422, "base64"),
        ({"json": {"picture": "http://127.0.0.1/face.png"}}, 422, "base64"),
        ({"json": {"picture": "YQ==", "further": 1}}, 422, "further"),
        ({"content": b'{"picture": "YQ==", "\\ud800": 1}', "headers": {"Content-Type": "application/json"}}, 422, "string"),
        ({"content": b"picture", "headers": {"Content-Type": "text/plain"}}, 415, "text/plain"),
        ({"content": b"--", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form"),
        ({"data": {"picture": "/etc/passwd"}, "files": {"other": b"x"}}, 422, "other"),
        ({"files": {"picture": b"GIF, says its name"}}, 415, "no picture"),
        ({"files": {"picture": b"\xff\xd8\xff but no JPEG"}}, 422, "picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(more: dict[str, Any], status: int, word: str) -> None:
    response = ask(ServerSettings(), "POST", "/v1/faces", **more)
    assert response.status_code == status
    message = error_of(response)["message"]
    assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "set"),
        ({"set": "Smiling=2"}, "Smiling"),
        ({"set": "Smiling=nan"}, "Smiling"),
        ({"set": "Smiling"}, "set"),
        ({"set": "Smiling=1", "face": "-1"}, "face"),
        ({"set": "Smiling=1", "aligned": "perhaps"}, "aligned"),
    ],
)
def test_options_that_mean_nothing_are_refused(values: dict[str, str], word: str) -> None:
    response = ask(ServerSettings(), "POST", "/v1/edit", data=values, files={"picture": GREY})
    assert response.status_code == 422
    assert word in error_of(response)["message"]


def test_a_request_keeps_the_name_that_it_was_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "visagist.server")
    response = ask(ServerSettings(), "GET", "/v1/models", headers={"X-Request-Id": "mine-7"})
    assert response.headers["X-Request-Id"] == "mine-7"
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert (line["request"], line["route"], line["status"]) == ("mine-7", "/v1/models", 200)
    forged = ask(ServerSettings(), "GET", "/v1/models", headers={"X-Request-Id": 'a"},{"level'})
    assert forged.headers["X-Request-Id"] != 'a"},{"level'


def test_what_no_worker_takes_in_time_is_answered_as_busy() -> None:
    response = ask(ServerSettings(seconds=0.1), "POST", "/v1/faces", files={"picture": GREY})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    full = ask(ServerSettings(queue=0), "POST", "/v1/faces", files={"picture": GREY})
    assert error_of(full)["kind"] == "busy"


def test_a_token_is_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file, {}) == TOKEN
    assert read_token(None, {"VISAGIST_TOKEN": TOKEN}) == TOKEN
    assert read_token(None, {}) is None
    for wrong in ("short", "with some spaces in between"):
        with pytest.raises(VisagistError, match="openssl"):
            read_token(None, {"VISAGIST_TOKEN": wrong})
    assert TOKEN not in repr(ServerSettings(token=TOKEN))
