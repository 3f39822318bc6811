"""Every shipped model in every precision: size, milliseconds a face, largest difference to torch, loss of success.

    python benchmarks/exports.py --data celeba:PATH [--models NAME ...]

Prints the table of docs/export.md. Without --data int8 is left out: drawn faces calibrate badly.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from visagist import pretrained
from visagist.data.sources import load_data
from visagist.editing.editor import Editor
from visagist.exporting.folder import PRECISIONS, export_onnx

REPEATS = 30


def milliseconds(editor: Editor) -> float:
    """The median time of one edit of one face, warm."""
    images = np.random.default_rng(0).random((1, 3, editor.image_size, editor.image_size), np.float32)
    strengths = {editor.attributes[0]: 1.0}
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        editor.edit_and_reconstruct(images, **strengths)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--models", nargs="*", default=pretrained.zoo())
    given = parser.parse_args()
    print("| model | precision | MB | ms a face | largest difference | success lost, points |\n|---|---|---|---|---|---|")
    for name in given.models:
        plain = Editor.from_pretrained(name, "cpu", backend="torch")
        print(f"| {name} | torch | | {milliseconds(plain):.1f} | | |")
        faces = None if given.data is None else load_data(given.data, image_size=plain.image_size, crop=plain.crop)
        for precision in PRECISIONS if faces is not None else PRECISIONS[:2]:
            with tempfile.TemporaryDirectory() as scratch:
                exported = export_onnx(name, Path(scratch) / "out", precision, faces)
                editor = Editor.from_pretrained(exported.folder, "cpu", backend="onnx")
                lost = exported.facts.get("success_lost_points", "")
                worst = max(exported.differences.values())
                figures = f"{exported.size / 1e6:.1f} | {milliseconds(editor):.1f} | {worst:.1e} | {lost}"
                print(f"| {name} | {precision} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
