"""Ctrl-C ends what lasts within seconds, with status 130, without a traceback and with nothing half-written left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from photo_seeds import portrait
from shards import encoded, face, face_shards
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import methods

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.skipif(sys.platform != "linux", reason="sends SIGINT, and reads /proc"),
]
SMILE = ["--set", "Smiling=1", "--device", "cpu"]
PIXELS = encoded(face(1))
STARTED, WAITED = 600, 300  # seconds on the clock, which on a busy machine go by without any work
ENDED = 8  # seconds of a processor between the interrupt and the end


def clip(path: Path, frames: int) -> None:
    """A video of the portrait, standing still."""
    av = pytest.importorskip("av")
    path.parent.mkdir(exist_ok=True)
    pixels = np.asarray(portrait(160).resize((160, 160)))
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=25, options={"crf": "40", "preset": "ultrafast"})
        video.height, video.width, video.pix_fmt = *pixels.shape[:2], "yuv420p"
        for _ in range(frames):
            made.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(video.encode())


def words_of(what: str, tmp_path: Path) -> tuple[list[str], str]:
    """A command that lasts for minutes, and a pattern below the folder of what is there once it is at work."""
    model = saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())
    source, out = tmp_path / "in", tmp_path / "out"
    if what == "batch":
        clip(source / "clip.mp4", 1500)
        (source / "face.png").write_bytes(PIXELS)
        given = [str(source / "clip.mp4"), str(source / "face.png")]
        return ["edit", str(model), *given, *SMILE, "--out", str(out)], "out/.clip.mp4.writing-*"
    if what == "bulk":
        face_shards(source, 1, 4000)
        words = ["bulk", str(source), *SMILE, "--model", str(model), "--batch", "2", "--out", str(out)]
        return words, "out/.bulk/writing/*"
    for number in range(4000):
        folder = source / ("Smiling" if number % 2 else "not_Smiling")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(PIXELS)
    form = ["--image-size", "512", "--encoding", "webp"]
    return ["data", "pack", f"folder:{source}", *form, "--out", str(out)], ".out.building-*"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", ["batch", "bulk", "pack"])
def test_an_interrupt_ends_it_promptly_with_130(what: str, tmp_path: Path) -> None:
    words, at_work = words_of(what, tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "visagist", *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=environment, text=True, preexec_fn=_listen, **streams)
    deadline = time.monotonic() + STARTED
    while not list(tmp_path.glob(at_work)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, process.stderr and process.stderr.read()
    time.sleep(0.3)
    at_interrupt = processor_seconds(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAITED)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 130, said
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - at_interrupt < ENDED
    assert "Traceback" not in said
    assert not [path for path in tmp_path.rglob("*.writing*") if "building" not in path.name]
    assert not list(tmp_path.glob(".out.building-*"))


def processor_seconds(pid: int) -> float:
    """What a process, and those of its own that have ended, have used of the processors until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _listen() -> None:
    """Let a child hear SIGINT, which a shell has the jobs ignore that it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
