"""Every shipped model in every precision: size, milliseconds a face, largest difference to torch, loss of success.

    python benchmarks/exports.py --data celeba:PATH [--models NAME ...]

Prints the table of docs/export.md: of models that edit the time of an edit, of others that of their graph; warm, one face.
Graphs are compared with torch, quantised and judged on 200 test faces. Without --data faces are drawn and int8 is left out.
`web` is the page, whose size is a first visit's; benchmarks/web.py times it. Without npm's runtime it is left out.
Before the table stand a warm edit of one aligned face of 128 pixels in each mode, and a cold start of `visagist edit`, which
imports no torch (benchmarks/lean.py starts it in an environment without). --times prints these alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from visagist import pretrained
from visagist.data.faces import Faces
from visagist.data.sources import load_data
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.exporting.checks import inputs_of
from visagist.exporting.folder import PRECISIONS, Source, export_onnx, open_source
from visagist.exporting.web import export_web
from visagist.runtime.graphs import Graph

REPEATS = 30
EDITOR = "ifcvae-gan-factored-64"
KINDS = ("method", "refiner", "judge", "landmarks", "finder")


def milliseconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """The least time of a call, warm: other programs only lengthen it."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds)


def edit_by(editor: Editor) -> Callable[[], object]:
    """One edit of one face."""
    images = np.random.default_rng(0).random((1, 3, editor.image_size, editor.image_size), np.float32)
    strengths = {editor.attributes[0]: 1.0}
    return lambda: editor.edit_and_reconstruct(images, **strengths)


def passes_of(source: Source, folder: Path | None) -> Callable[[], object]:
    """One pass of a model's first part for one picture: by torch, or by its graph in a folder."""
    name, part = next(iter(source.parts.items()))
    images = np.random.default_rng(0).random((1, *part.inputs[0].shape[1:]), np.float32)
    arrays = inputs_of(part, None, images, np.random.default_rng(0))
    if folder is None:
        tensors = [torch.from_numpy(array) for array in arrays]

        def run() -> object:
            with torch.inference_mode():
                return part.module(*tensors)

        return run
    graph = Graph(folder / f"{name}.onnx")
    return lambda: graph.run(dict(zip(part.input_names, arrays)))


def print_times() -> None:
    """A warm edit of an aligned face of 128 pixels by graphs, and a cold start of the command."""
    editor = Editor.from_pretrained(EDITOR, "cpu", backend="onnx")
    faces = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    for mode in ("render", "detail", "photo"):
        took = milliseconds(lambda mode=mode: editor.edit(faces, mode, aligned=True, Smiling=-1.0))
        print(f"{EDITOR}, one aligned face of 128 pixels, {mode}, warm: {took:.1f} ms", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "me.png"
        photo.write_bytes(files("visagist").joinpath("demo_face.png").read_bytes())
        words = ["edit", EDITOR, photo, "--set", "Smiling=-1", "--out", Path(folder) / "out.png", "--overwrite"]
        command = [sys.executable, "-m", "visagist", *words]

        def start() -> object:
            return subprocess.run(command, env=environment, capture_output=True, check=True)

        start()  # what is compiled once is not counted
        print(f"visagist edit of one photograph, cold: {milliseconds(start, 5) / 1000:.2f} s", flush=True)


def print_page(name: str, faces: Faces | None) -> None:
    """The row of a model's page."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            site = export_web(name, Path(scratch) / "site", faces)
        except VisagistError as error:
            print(f"| | web | {error} | | | |", flush=True)
            return
        print(f"| | web, fp16 | {site.download / 1e6:.1f} | | {max(site.differences.values()):.1e} | |", flush=True)


def print_rows(name: str, faces: Faces | None) -> None:
    """The rows of one model."""
    source = open_source(name)
    by_torch = passes_of(source, None) if source.editor is None else edit_by(source.editor)
    print(f"| {name} | torch | | {milliseconds(by_torch):.1f} | | |", flush=True)
    for precision in PRECISIONS if faces is not None else PRECISIONS[:2]:
        with tempfile.TemporaryDirectory() as scratch:
            exported = export_onnx(name, Path(scratch) / "out", precision, faces)
            run = passes_of(source, exported.folder)
            if source.editor is not None:
                run = edit_by(Editor.from_pretrained(exported.folder, "cpu", backend="onnx"))
            worst, facts = max(exported.differences.values()), exported.facts
            where = " at " + ", ".join(facts["more_than_a_point_lost_at"]) if facts.get("more_than_a_point_lost_at") else ""
            lost = f"{facts['success_lost_points']}, most {facts['success_lost_most_points']}{where}" if facts else ""
            figures = f"{exported.size / 1e6:.1f} | {milliseconds(run):.1f} | {worst:.1e} | {lost}"
            print(f"| | {precision} | {figures} |", flush=True)
    if source.editor is not None:
        print_page(name, faces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--models", nargs="*", default=[name for kind in KINDS for name in pretrained.zoo(kind)])
    parser.add_argument("--times", action="store_true", help="leave the table out")
    given = parser.parse_args()
    print_times()
    if given.times:
        return
    print("| model | precision | MB | ms a face | largest difference | success lost, points |\n|---|---|---|---|---|---|")
    for name in given.models:
        source = open_source(name)
        size, crop = int(next(iter(source.parts.values())).inputs[0].shape[-1]), source.description.get("crop")
        print_rows(name, given.data and load_data(given.data, image_size=size, crop=crop, split="test"))


if __name__ == "__main__":
    main()
