"""The install without torch, made in an empty environment as docs/export.md says: its size, and how long `edit` takes cold.

    python benchmarks/lean.py [--keep FOLDER] [--repeat 5]

Edits the shipped portrait by `edit`, by two processes of `bulk` and by a server, and compares the pixels with those of this
environment's torch. Packages come from the index of pip. Times are the least of some runs, after a first one.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
import venv
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from visagist.editing.editor import Editor

ROOT = Path(__file__).resolve().parent.parent
MODEL = "ifcvae-gan-factored-64"
EDIT = ("--set", "Smiling=-1", "--model", MODEL)


def install(environment: Path) -> None:
    """The commands of docs/export.md, in an empty environment."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    packages = re.search(r"pip install (numpy [^\n]+)", page)
    extras = re.search(r"`(pyarrow)`; `(fastapi [^`]+)`", page)
    assert packages, "docs/export.md says no more what a lean install takes"
    assert extras, "docs/export.md says no more what bulk and serve take"
    venv.create(environment, with_pip=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", ROOT], check=True)
    print(f"visagist: {megabytes(environment):.0f} MB with pip itself")
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", *packages[1].split()], check=True)
    print(f"with what `edit` takes ({packages[1]}): {megabytes(environment):.0f} MB")
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", extras[1], *extras[2].split()], check=True)
    print(f"with what `bulk` and `serve` take: {megabytes(environment):.0f} MB")


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def seconds(run: Callable[[], object], repeat: int) -> float:
    """The least time of some runs by the clock, after a first one."""
    times = []
    for _ in range(repeat + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def pixels_of(source: Path | bytes) -> np.ndarray:
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
        return np.asarray(picture.convert("RGB"), int)


def edit_over_http(command: list[str], environment: dict[str, str], photo: Path) -> tuple[float, bytes]:
    """Start a server, have it edit a photograph, and end it: the seconds until it listens, and its answer."""
    started = time.perf_counter()
    words = [*command, "serve", MODEL, "--port", "0", "--workers", "1"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        taken, boundary = time.perf_counter() - started, uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        body = (
            f'{head}set"\r\n\r\nSmiling=-1\r\n{head}picture"; filename="me.png"\r\n\r\n'.encode()
            + photo.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}v1/edit", body, kind)) as answer:
            edited = answer.read()
        process.terminate()
    return taken, edited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="an environment made by an earlier run, or where to leave one")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = (given.keep or folder / "environment").resolve()
        if not environment.exists():
            install(environment)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [str(environment / "bin" / "visagist")]
        imports = [environment / "bin" / "python", "-c", "import torch"]
        assert subprocess.run(imports, env=clean, capture_output=True).returncode, "torch is installed there"
        photo = folder / "in" / "me.png"
        photo.parent.mkdir()
        photo.write_bytes(files("visagist").joinpath("demo_face.png").read_bytes())

        def run(*words: object) -> None:
            done = subprocess.run([*command, *map(str, words)], env=clean, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

        out = folder / "edited.png"
        edit = seconds(lambda: run("edit", MODEL, photo, *EDIT[:2], "--out", out, "--overwrite"), given.repeat)
        print(f"`visagist edit` of one photograph, cold: {edit:.2f} s; `--help`: {seconds(lambda: run('--help'), 2):.2f} s")
        run("bulk", photo.parent, *EDIT, "--devices", 2, "--out", folder / "bulk")
        listening, answer = edit_over_http(command, clean, photo)
        print(f"`visagist serve` listens after {listening:.2f} s")
        expected = pixels_of(photo)
        editor = Editor.from_pretrained(MODEL, "cpu", backend="torch")
        expected = np.asarray(editor.edit_photo(Image.open(photo), mode="photo", Smiling=-1.0).image, int)
        for name, edited in (("edit", out), ("bulk", folder / "bulk" / "me.png"), ("serve", answer)):
            print(f"{name}: at most {np.abs(pixels_of(edited) - expected).max()} levels from torch's pixels")


if __name__ == "__main__":
    sys.exit(main())
