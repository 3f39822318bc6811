"""How fast a photograph is edited, and how well faces are found in it.

    python benchmarks/photo.py [--side 1024] [--rounds 7] [--threads 2] [--model ifcvae-gan-smiling-64]
    python benchmarks/photo.py --data $VISAGIST_DATA [--faces 500] [--ert68 FILE] [--out metrics.json]

The first edits the portrait that ships with visagist in a photograph of this side: milliseconds of each part, the median
and the least of the rounds, and of the processor's time. With a folder that holds `celeba/` and `weights/`, aligned test
faces are also laid askew into larger photographs, turned by up to 30 degrees, and found again; errors are distances of the
five points from what other detectors read in the aligned picture, in distances of the eyes. `faceapi` (face-api.js) and
`ert68` (dlib's 68 points) taught nothing here; `onet` taught the network.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from face_finding import backdrop, face_api_points, laid, measure_finding
from numpy.typing import NDArray
from PIL import Image

from visagist.editing.editor import Editor
from visagist.editing.photo_edit import apply_changes, compute_changes, find_faces
from visagist.evaluation.extractors.landmark_detectors import Ert, ONetDetector
from visagist.faces.alignment import align

PARTITION = {"train": "0", "val": "1", "test": "2"}


def portrait_in(side: int) -> NDArray[np.uint8]:
    """A photograph of this side with the portrait in its middle, a little tilted, at two fifths of its width."""
    with resources.files("visagist").joinpath("demo_face.png").open("rb") as file:
        face = np.asarray(Image.open(file).convert("RGB"))
    scale, angle = 0.4 * side / len(face), np.radians(8)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = side / 2 - turn @ np.full(2, (len(face) - 1) / 2)
    return laid(face, np.concatenate([turn, shift[:, None]], 1), backdrop(face, side))


def timed(parts: dict[str, Callable[[], object]], rounds: int) -> None:
    for part in parts.values():
        part()
    wall: dict[str, list[float]] = {name: [] for name in parts}
    own: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            start, used = time.perf_counter(), time.process_time()
            part()
            wall[name].append(1000 * (time.perf_counter() - start))
            own[name].append(1000 * (time.process_time() - used))
    print(f"{'':24}{'median':>9}{'least':>9}{'processor':>11}  ms")
    for name in parts:
        median, used = statistics.median(wall[name]), statistics.median(own[name])
        print(f"{name:24}{median:9.1f}{min(wall[name]):9.1f}{used:11.1f}")


def speed(side: int, rounds: int, model: str) -> None:
    editor, pixels = Editor.from_pretrained(model, device="cpu"), portrait_in(side)
    (strength,) = ({name: -1.0} for name in editor.attributes[:1])
    faces = find_faces(pixels)
    made = compute_changes(editor, pixels, faces, strength)
    aligned = align(faces[0].landmarks, editor.crop, editor.image_size)
    print(f"{model} on a photograph of {side}×{side}, a face of {faces[0].box[2] - faces[0].box[0]} pixels")
    timed(
        {
            "find": lambda: find_faces(pixels),
            "align": lambda: aligned.face(pixels),
            "align, edit and warp": lambda: compute_changes(editor, pixels, faces, strength),
            "paste": lambda: apply_changes(pixels, made),
            "edit_photo, with scores": lambda: editor.edit_photo(pixels, **strength),
        },
        rounds,
    )


def aligned_pictures(data: Path, number: int, split: str) -> NDArray[np.uint8]:
    rows = [line.split() for line in (data / "celeba" / "list_eval_partition.txt").read_text().splitlines()]
    names = [name for name, part in rows if part == PARTITION[split]][:number]
    folder = data / "celeba" / "img_align_celeba"
    return np.stack([np.asarray(Image.open(folder / name).convert("RGB")) for name in names])


def accuracy(data: Path, number: int, split: str, ert68: Path | None, out: Path | None) -> None:
    pictures = aligned_pictures(data, number, split)
    square = torch.from_numpy(pictures[:, 20:198].copy()).permute(0, 3, 1, 2).float() / 255
    readings = {"faceapi": face_api_points(pictures, data / "weights" / "faceapi")}
    others = {} if ert68 is None else {"ert68": Ert("ert68", ert68).aimed("centre178")}
    onet = ONetDetector(data / "weights" / "mtcnn" / "onet.pt").aimed("centre178")
    for name, detector in {**others, "onet": onet}.items():
        readings[name] = detector(square).double().numpy() + np.array([0, 20])
    measures = measure_finding(pictures, readings)
    for name, measure in measures.items():
        print(f"{name:24}{measure['value']:9.4f}  [{measure['low']:.4f}, {measure['high']:.4f}]  n={measure['n']}")
    if out is not None:
        out.write_text(json.dumps({"metrics": measures}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="ifcvae-gan-smiling-64")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--faces", type=int, default=500)
    parser.add_argument("--split", default="test", choices=list(PARTITION))
    parser.add_argument("--ert68", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.rounds:
        speed(given.side, given.rounds, given.model)
    if given.data:
        accuracy(given.data, given.faces, given.split, given.ert68, given.out)


if __name__ == "__main__":
    main()
