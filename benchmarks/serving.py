"""Load on `visagist serve`, over the loopback: how fast, how steady, and what becomes of requests when processes end.

    python benchmarks/serving.py --seconds 60 --connections 32 --workers 2
    python benchmarks/serving.py --only slider,hostile

Starts a server of its own, prints a line of JSON for each part, and what the machine was busy with. Parts: start, slider,
browser, aligned, photographs, hostile, memory, kill, end.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

Ask = Callable[[httpx.AsyncClient], Awaitable[int]]
PARTS = ("start", "slider", "browser", "aligned", "photographs", "hostile", "memory", "kill", "end")


MOVES = """async (steps) => {
  const slider = document.getElementById("slider-Smiling"), stage = document.getElementById("stage"), times = [];
  for (let step = 1; step <= steps; step += 1) {
    const before = stage.dataset.shown, started = performance.now();
    slider.value = -1 + (step % 40) / 20;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (stage.dataset.shown === before) await new Promise((go) => setTimeout(go, 0));
    await new Promise((go) => requestAnimationFrame(go));
    times.push(performance.now() - started);
  }
  return times;
}"""


class Subject:
    """The server under load."""

    def __init__(self, options: argparse.Namespace, *more: str) -> None:
        command = [sys.executable, "-m", "visagist", "serve", *options.model, "--port", "0", "--studio"]
        command += ["--workers", str(options.workers), "--queue", "256", *more]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip().rstrip("/")
        self.seconds_to_ready = time.perf_counter() - started

    def workers(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def cpu_seconds(self) -> tuple[float, float]:
        """Seconds of the processor that the server and its workers have taken so far."""
        pids = (self.process.pid, *self.workers())
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        own, *workers = [(int(field[11]) + int(field[12])) / os.sysconf("SC_CLK_TCK") for field in fields]
        return own, sum(workers)

    def megabytes(self) -> float:
        """Resident memory of the server and its workers."""
        total = 0.0
        for pid in (self.process.pid, *self.workers()):
            status = Path(f"/proc/{pid}/status").read_text()
            total += float(status.split("VmRSS:")[1].split()[0]) / 1024
        return total


def picture(size: tuple[int, int], kind: str = "JPEG", side: int | None = None) -> bytes:
    """The portrait of the package, on a photograph of this size or by itself."""
    face = Image.open(io.BytesIO(resources.files("visagist").joinpath("demo_face.png").read_bytes())).convert("RGB")
    whole = face.resize(size) if side is None else Image.new("RGB", size, (150, 165, 180))
    if side is not None:
        whole.paste(face.resize((side, side)), ((size[0] - side) // 2, (size[1] - side) // 2))
    file = io.BytesIO()
    whole.save(file, kind)
    return file.getvalue()


def hostile() -> dict[str, bytes]:
    """Pictures that ask for too much, or for what is not there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def png(width: int, height: int, pixels: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    photo = picture((1200, 900), side=500)
    return {
        "60000x60000 header": png(60_000, 60_000, zlib.compress(b"\0" * 1000)),
        "bomb": png(20_000, 20_000, zlib.compress(b"\0" * 50_000_000)),
        "cut JPEG": photo[: len(photo) // 2],
        "cut PNG": picture((400, 300), "PNG")[:5000],
        "noise": np.random.default_rng(0).bytes(200_000),
        "GIF of 4000 frames": b"GIF89a\x01\0\x01\0\0\0\0" + b",\0\0\0\0\x01\0\x01\0\0\x02\x01\0\0" * 4000 + b";",
    }


async def pump(options: argparse.Namespace, seconds: float, ask: Ask, number: int = 0) -> dict[str, Any]:
    """Ask over all connections for so long, or so often; how often, how fast, with which answers."""
    times: list[float] = []
    answers: Counter[int | str] = Counter()
    end, left = 0.0, [number or 1 << 60]

    async def connection(client: httpx.AsyncClient) -> None:
        while time.perf_counter() < end and left[0] > 0:
            left[0] -= 1
            started = time.perf_counter()
            try:
                status: int | str = await ask(client)
            except httpx.TransportError as error:
                status = type(error).__name__  # ConnectError: nobody was there; any other: a request was lost
            times.append(time.perf_counter() - started)
            answers[status] += 1
            if status == 503:
                await asyncio.sleep(0.2)

    limits = httpx.Limits(max_connections=options.connections, max_keepalive_connections=options.connections)
    async with httpx.AsyncClient(base_url=options.address, timeout=120, limits=limits) as client:
        started = time.perf_counter()
        end = started + seconds
        await asyncio.gather(*[connection(client) for _ in range(options.connections)])
    took = time.perf_counter() - started
    rate = round(answers[200] / took, 1)
    return {"seconds": round(took, 1), "answers": dict(answers), "per_second": rate, **spread(times)}


def spread(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    return {f"p{q}_ms": round(1000 * float(np.quantile(times, q / 100)), 1) for q in (50, 95, 99)}


def editing(data: bytes) -> Ask:
    async def ask(client: httpx.AsyncClient) -> int:
        sent = {"files": {"picture": data}, "data": {"set": f"Smiling={random.uniform(-1, 1):.3f}"}}
        return (await client.post("/v1/edit", **sent)).status_code

    return ask


async def slider(options: argparse.Namespace, steps: int) -> dict[str, Any]:
    """One person moves one slider: the photograph is open, the code is known."""
    times = []
    async with httpx.AsyncClient(base_url=options.address, timeout=120) as client:
        opened = (await client.post("/studio/photographs", files={"picture": picture((900, 700), side=420)})).json()
        for step in range(steps):
            asked = {"steps": [{"face": 0, "set": {"Smiling": round(-1 + 2 * step / steps, 3)}}]}
            started = time.perf_counter()
            response = await client.post(f"/studio/photographs/{opened['id']}/preview", json=asked)
            times.append(time.perf_counter() - started)
            assert response.status_code == 200, response.text
    return {"steps": steps, "preview": opened["preview"], **spread(times)}


def browsed(options: argparse.Namespace, steps: int) -> dict[str, Any]:
    """A slider moved in Chromium, from the input event to the frame that shows it: by the model's 64 pixels, by 128."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("VISAGIST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    facts: dict[str, Any] = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, mode in (("64", "detail"), ("128", "photo")):
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{options.address}/#mode={mode}")
            page.wait_for_selector("body[data-ready]")
            photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture((900, 700), side=420)}
            page.set_input_files("#file", photo)
            page.wait_for_selector("#slider-Smiling:enabled")
            times = page.evaluate(MOVES, steps)
            facts[name] = {"steps": steps, **spread([time / 1000 for time in times[5:]])}
            page.close()
    return facts


async def refused(options: argparse.Namespace) -> dict[str, Any]:
    """How long each hostile picture takes to be refused: the median of ten."""
    facts = {}
    async with httpx.AsyncClient(base_url=options.address, timeout=120) as client:
        for name, data in hostile().items():
            times, statuses = [], set()
            for _ in range(10):
                started = time.perf_counter()
                response = await client.post("/v1/edit", files={"picture": data}, data={"set": "Smiling=1"})
                times.append(time.perf_counter() - started)
                statuses.add(response.status_code)
            facts[name] = {"status": sorted(statuses), "ms": round(1000 * float(np.median(times)), 1)}
    return facts


async def memory(options: argparse.Namespace, subject: Subject, number: int) -> dict[str, Any]:
    """Resident memory after a tenth of the requests, and after all."""
    ask = editing(picture((64, 64), "PNG"))
    await pump(options, 1e9, ask, number // 10)
    first = subject.megabytes()
    facts = await pump(options, 1e9, ask, number - number // 10)
    last = subject.megabytes()
    growth = round(last / first - 1, 4)
    return {"requests": number, "first_mb": round(first), "last_mb": round(last), "growth": growth, **facts}


async def killing(options: argparse.Namespace, subject: Subject) -> dict[str, Any]:
    """Workers are killed while requests are in their hands, once a second."""
    kills = 0

    async def killer() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(5)
            os.kill(random.choice(subject.workers()), signal.SIGKILL)
            kills += 1

    task = asyncio.create_task(killer())
    facts = await pump(options, max(options.seconds / 2, 12), editing(picture((64, 64), "PNG")))
    task.cancel()
    return {"kills": kills, **facts}


async def ending(options: argparse.Namespace, subject: Subject) -> dict[str, Any]:
    """SIGTERM while requests are in hands: those that were accepted are answered, later ones find nobody (ConnectError)."""

    async def end() -> None:
        await asyncio.sleep(2)
        subject.process.send_signal(signal.SIGTERM)

    task = asyncio.create_task(end())
    facts = await pump(options, 4, editing(picture((64, 64), "PNG")))
    await task
    return {"status": await asyncio.to_thread(subject.process.wait, 120), **facts}


async def run(options: argparse.Namespace) -> None:
    subject = Subject(options)
    options.address = subject.address
    parts = {
        "start": lambda: asyncio.sleep(0, {"seconds_to_ready": round(subject.seconds_to_ready, 2)}),
        "slider": lambda: slider(options, 300),
        "browser": lambda: asyncio.to_thread(browsed, options, 120),
        "aligned": lambda: pump(options, options.seconds, editing(picture((64, 64), "PNG"))),
        "photographs": lambda: pump(options, options.seconds, editing(picture((options.side,) * 2, side=options.side // 2))),
        "hostile": lambda: refused(options),
        "memory": lambda: memory(options, subject, options.requests),
        "kill": lambda: killing(options, subject),
        "end": lambda: ending(options, subject),
    }
    try:
        for name in options.only.split(","):
            before = subject.cpu_seconds()
            facts = await parts[name]()
            if name in ("aligned", "photographs"):  # what holds on a busy machine too
                spent = [after - start for start, after in zip(before, subject.cpu_seconds())]
                number = max(sum(facts["answers"].values()), 1)
                facts["cpu_ms"] = {who: round(1000 * s / number, 1) for who, s in zip(("server", "workers"), spent)}
            load = [round(value, 1) for value in os.getloadavg()]
            print(json.dumps({"part": name, "load": load, "memory_mb": _memory(subject), **facts}), flush=True)
    finally:
        subject.process.kill()


def _memory(subject: Subject) -> int | None:
    return round(subject.megabytes()) if subject.process.poll() is None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=1024, help="of the photographs, in pixels")
    parser.add_argument("--requests", type=int, default=20_000, help="of the part memory")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--only", default=",".join(PARTS))
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
