"""Twenty thousand requests that are damaged in some way: none is a fault of the server, none hangs, no worker dies.

    python benchmarks/fuzzed_server.py [--number 20000] [--first 0] [--connections 8] [--workers 1]

Starts a server of its own. A request is a function of its number: pictures of the hostile campaign's grammars and mutated
photographs, forms and JSON that are damaged, bytes that are no HTTP, addresses that are none. Prints one line of JSON with
the answers by kind of request, and the numbers of requests that failed: a 500, no end within 40 seconds, or no answer to a
request whose frame is sound. `--first N --number 1` sends one of them again.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
from hostile.damage import WORDS, damage_bytes, damage_json, draw_value
from hostile.pictures import draw_gif, draw_jpeg, draw_png, draw_tiff
from serving import Subject, picture

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
LIMIT, PATIENCE = 10, 40  # seconds: of the server, and of this client
FORMS = ("/v1/edit", "/v1/faces", "/v1/classify", "/studio/photographs")
MODEL = "ifcvae-gan-factored-64"
VALUES = ("", "null", "http://evil", "a" * 9000, "100-continue", "application/json", "x/y; =", "é\t")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "GÉT", "X" * 300)


@cache
def sound_picture() -> bytes:
    return picture((64, 64))


def draw_picture(draw: Random) -> bytes:
    from photo_mutations import mutated

    if draw.randrange(2):
        return mutated(draw.randrange(1 << 30))[1]
    return draw.choice((draw_png, draw_jpeg, draw_gif, draw_tiff))(draw)


def draw_form(draw: Random, path: str, data: bytes) -> tuple[bytes, str]:
    """A form with a picture, whose other fields are right or not."""
    fields = [("set", "Smiling=1")] if path == "/v1/edit" else []
    if draw.randrange(3) == 0:
        name = draw.choice(("set", "model", "mode", "face", "aligned", "format", "strip_metadata", "picture", "x", *WORDS))
        fields.append((name, draw.choice(("", "1", "0", "all", "true", "png", "detail", MODEL, "Smiling=nan", *WORDS))))
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        for name, value in fields
    ]
    file = draw.choice(("a.png", "../../x", "a" * 3000, 'q"q', "\x00")).encode()
    start = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="%s"\r\n\r\n' % file
    parts.append(start + data + b"\r\n--b--\r\n")
    return b"".join(parts), "multipart/form-data; boundary=b"


def bodies(photograph: str) -> dict[str, Any]:
    """A sound body of each address that takes JSON."""
    text = base64.b64encode(sound_picture()).decode()
    steps = [{"face": 0, "set": {"Smiling": -1.0}, "model": None, "mode": None, "strip_metadata": False}]
    return {
        "/v1/edit": {"picture": text, "set": {"Smiling": -1.0}, "mode": "detail", "face": "all", "format": "webp"},
        "/v1/faces": {"picture": text},
        "/v1/classify": {"picture": text, "model": MODEL},
        f"/studio/photographs/{photograph}/preview": {"steps": steps, "view": "heat"},
        f"/studio/photographs/{photograph}/judge": {"steps": steps},
        f"/studio/photographs/{photograph}/export": {"steps": steps, "kind": "strip", "format": "png"},
        "/studio/sample": {"model": MODEL, "number": 2, "seed": 3, "set": {"Smiling": 1}},
        "/studio/alike": {"model": MODEL, "number": 2, "seed": 3, "picture": text},
        "/studio/between": {"model": MODEL, "number": 3, "pictures": [text, text]},
    }


def draw_request(draw: Random, photograph: str) -> tuple[str, bytes]:
    """The kind of a request, and its bytes."""
    kind = draw.choice(("picture", "picture", "form", "json", "json", "address", "http"))
    headers = {"Host": "localhost", "Connection": "close"}
    method, path, body = "POST", draw.choice(FORMS), b""
    if kind in ("picture", "form"):
        data = draw_picture(draw) if kind == "picture" else sound_picture()
        body, headers["Content-Type"] = draw_form(draw, path, data)
        body = damage_bytes(draw, body) if kind == "form" and draw.randrange(2) else body
    elif kind == "json":
        path, value = draw.choice(list(bodies(photograph).items()))
        body, headers["Content-Type"] = damage_json(draw, value), "application/json"
    else:
        method = draw.choice(METHODS)
        path = "/" + draw.choice((path, "v1/../../etc/passwd", "static/%2e%2e/x", "%00", "é", "v1/edit?" + "a=" * 2000, "*"))
        body = json.dumps(draw_value(draw)).encode()
    headers["Content-Length"] = str(len(body))
    if draw.randrange(6) == 0:
        name = draw.choice(("Accept", "Origin", "X-Request-Id", "Authorization", "Content-Type", "Expect", "Host", "Cookie"))
        headers[name] = draw.choice(VALUES)
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    whole = head.encode("latin-1", "replace") + body
    return kind, damage_bytes(draw, whole[: len(head)]) + body if kind == "http" else whole


async def send(address: str, data: bytes) -> str:
    """The status of the answer on a connection of its own, or what there was instead."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(data)
        if b"Connection: close" not in data:
            writer.write_eof()  # nothing more comes, whatever the damage promises
        while piece := await reader.read(1 << 16):
            answer += piece
    except ConnectionError:
        pass  # an answer that came before the whole body was sent counts
    finally:
        writer.close()
    statuses = re.findall(rb"HTTP/1\.1 (\d{3})", answer)
    return statuses[-1].decode() if statuses else "closed"


async def ask(address: str, number: int, photograph: str) -> tuple[str, str, float]:
    """The kind of a numbered request, its answer, and the seconds that it took."""
    kind, data = draw_request(Random(number), photograph)
    started = time.perf_counter()
    for _ in range(20):
        try:
            status = await asyncio.wait_for(send(address, data), PATIENCE)
        except TimeoutError:
            status = "hangs"
        was_slow = status == "closed" and time.perf_counter() - started > LIMIT  # this client, to send a whole head
        if status != "503" and not was_slow:
            break
        started = time.perf_counter()
        await asyncio.sleep(0.5)
    return kind, status, time.perf_counter() - started


def is_failure(kind: str, status: str) -> bool:
    return status in ("500", "hangs") or (status == "closed" and kind not in ("http", "address"))


async def campaign(options: argparse.Namespace) -> dict[str, Any]:
    subject = Subject(SimpleNamespace(model=[], workers=options.workers), "--seconds", str(LIMIT))
    counts: dict[str, Counter[str]] = {}
    failed: list[tuple[int, str, str]] = []
    times: list[float] = []
    numbers = iter(range(options.first, options.first + options.number))

    async def connection(photograph: str) -> None:
        for number in numbers:
            kind, status, seconds = await ask(subject.address, number, photograph)
            counts.setdefault(kind, Counter())[status] += 1
            times.append(seconds)
            if is_failure(kind, status):
                failed.append((number, kind, status))
                print(json.dumps({"failed": number, "kind": kind, "status": status}), file=sys.stderr, flush=True)

    try:
        async with httpx.AsyncClient(base_url=subject.address, timeout=PATIENCE) as client:
            files = {"picture": picture((900, 700), side=420)}
            opened = (await client.post("/studio/photographs", files=files)).json()["id"]
            await asyncio.gather(*[connection(opened) for _ in range(options.connections)])
            metrics = (await client.get("/metrics")).text
            alive = (await client.get("/readyz")).status_code
    finally:
        subject.process.kill()
    (deaths,) = re.findall(r"^visagist_worker_restarts_total (\S+)", metrics, re.MULTILINE)
    by_kind = {kind: dict(sorted(answers.items())) for kind, answers in sorted(counts.items())}
    return {"requests": options.number, "failed": failed, "workers_died": float(deaths), "ready_after": alive,
            "slowest_s": round(max(times), 2), "answers": by_kind}  # fmt: skip


def main() -> int:
    sys.path.insert(0, str(SUPPORT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    facts = asyncio.run(campaign(parser.parse_args()))
    print(json.dumps(facts), flush=True)
    return 1 if facts["failed"] or facts["workers_died"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
