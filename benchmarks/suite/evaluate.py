"""How long `visagist evaluate` takes on drawn faces, and what of it goes to which family of metrics."""

from __future__ import annotations

import tempfile
from pathlib import Path

from suite.timing import Given, Group, Part
from visagist import evaluate
from visagist.data.drawn.synthetic import load_synthetic

MODEL = "ifcvae-gan-smiling-64"


def run(given: Given) -> Part:
    number = 20 if given.quick else 200
    faces = load_synthetic(number, image_size=64)
    with tempfile.TemporaryDirectory() as folder:
        metrics = evaluate(MODEL, faces, split="all", out=Path(folder) / "report", device="cpu")
    manifest = metrics.manifest
    group = Group(f"visagist evaluate {MODEL} on {number} drawn faces", {"faces": number})
    group.figure("all", manifest["wall_seconds"], "s")
    for family, spent in sorted(manifest["seconds"].items(), key=lambda item: -item[1]["wall"]):
        group.figure(family, spent["wall"], "s")
    return Part([group])
