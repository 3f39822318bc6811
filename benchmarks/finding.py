"""How many faces finders find, by size, turn and cover, in composed photographs whose faces are known.

    python benchmarks/finding.py --data $VISAGIST_DATA --split test --grounds FOLDER --out figures.json
        [--finders finder,dlib,mtcnn] [--model RUN/best] [--scenes 300] [--threshold 0.5]
    python benchmarks/finding.py --speed [--threads 2]

Aligned faces of a split that taught no finder are laid into photographs of 1 024 pixels without overlap, whole or behind a
soft mask, on grounds that no finder was trained on: pictures of a folder without faces, blurred faces, noise. A face is
found where the middle of its points is off by less than half a distance of the eyes; what is found and is no laid face is
false, a double too. Points are compared with what face-api.js read in the aligned picture. Intervals are Wilson's of 95 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_finding import backdrop, face_api_points
from mtcnn import MTCNN
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.stats import binomtest

from visagist.faces.geometry import compose, invert, transform_points
from visagist.faces.points import face_scale
from visagist.faces.pose import yaw

Pixels = NDArray[np.uint8]
SIDE, BOX, SAME, MARGIN = 1024, 2.4, 0.5, 8
PARTITION = {"train": "0", "val": "1", "test": "2"}
FRONTAL, TURNED = 20, 45  # degrees of yaw
WIDTHS = {"24-32": (24, 32), "32-64": (32, 64), "64-128": (64, 128), "128-400": (128, 400)}
# Condition: widths of its faces, and how many of a hundred scenes show it.
CONDITIONS = {
    **{f"frontal {name}": (width, 14) for name, width in WIDTHS.items()},
    "frontal 16-24": ((16, 24), 6),
    "tilted 45 to 80": ((32, 200), 8),
    "upside down": ((32, 200), 4),
    "turned 45 to 80": ((32, 200), 8),
    "a third covered": ((32, 200), 8),
    "half covered": ((32, 200), 4),
    "three times as bright": ((32, 200), 4),
    "a quarter as bright": ((32, 200), 4),
}


@dataclass(frozen=True)
class Laid:
    """A face in a photograph: its condition, its width and its points [5, 2] in pixels."""

    condition: str
    width: float
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """Aligned pictures [N, 218, 178, 3], their points [N, 5, 2], their yaw [N], and pictures without faces."""

    pictures: Pixels
    points: NDArray[np.float64]
    yaws: NDArray[np.float64]
    grounds: list[Image.Image]


def read_material(data: Path, split: str, grounds: Path | None, number: int) -> Material:
    """Faces of a split, all that are turned and `number` others, and the grounds of a folder."""
    lines = (data / "celeba" / "list_eval_partition.txt").read_text().split("\n")
    names = [line.split()[0] for line in lines if line.split()[1:] == [PARTITION[split]]]
    pictures = np.stack([np.asarray(Image.open(data / "celeba" / "img_align_celeba" / name)) for name in names])
    points = face_api_points(pictures, data / "weights" / "faceapi")
    yaws = np.abs(yaw(points))
    straight = np.random.default_rng(0).permutation(np.flatnonzero(yaws < FRONTAL))[:number]
    rows = np.concatenate([straight, np.flatnonzero((yaws >= TURNED) & (yaws <= 85))])
    files = sorted(grounds.iterdir()) if grounds else []
    return Material(pictures[rows], points[rows], yaws[rows], [Image.open(file).convert("RGB") for file in files])


def ground(material: Material, draw: np.random.Generator) -> Image.Image:
    kind = draw.random()
    if kind < 0.55 and material.grounds:
        picture = material.grounds[draw.integers(len(material.grounds))]
        side = int(min(picture.size) * draw.uniform(0.4, 1))
        left, top = (int(draw.integers(end - side + 1)) for end in picture.size)
        return picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if kind < 0.75:
        return backdrop(material.pictures[draw.integers(len(material.pictures))], SIDE)
    noise = np.zeros((SIDE, SIDE, 3))
    for cells in (4, 16, 64, 256):
        part = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        noise += np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) * draw.uniform(0.05, 0.6) / cells**0.4
    return Image.fromarray((255 * noise / noise.max()).astype(np.uint8))


def lay(
    photo: Image.Image, picture: Image.Image, points: NDArray[np.float64], width: float, degrees: float, x: float, y: float,
    soft: bool,
) -> NDArray[np.float64]:  # fmt: skip
    """Lay a picture into a photograph, its face `width` pixels wide around x and y; its points there."""
    scale, angle = width / (BOX * float(face_scale(points))), np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_photo = np.concatenate([turn, (np.array([x, y]) - turn @ points.mean(0))[:, None]], 1)
    size = tuple(max(round(side * min(scale, 1)), 1) for side in picture.size)
    reduced = picture.resize(size, Image.Resampling.LANCZOS)
    mask = Image.new("L", size, 255)
    if soft:
        a, b = (np.linspace(-1, 1, n) for n in size)
        far = (np.abs(a) ** 3 + np.abs(b[:, None]) ** 3) ** (1 / 3)
        mask = Image.fromarray((255 * np.clip((1 - far) / 0.1, 0, 1)).astype(np.uint8))
    corners = transform_points(np.array([[0, 0], [178, 0], [178, 218], [0, 218]]) - 0.5, to_photo)
    low, high = np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 1
    ratio = np.array(size) / np.array(picture.size)
    reduce = np.array([[ratio[0], 0, ratio[0] / 2 - 0.5], [0, ratio[1], ratio[1] / 2 - 0.5]])
    back = compose(invert(to_photo), reduce)
    shift = back[:, 2] + back[:, :2] @ (low - 0.5) + 0.5
    data = (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1])
    wide = tuple((high - low).tolist())
    patch = reduced.transform(wide, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    photo.paste(patch, tuple(low.tolist()), mask.transform(wide, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))
    return transform_points(points, to_photo)


def cover(photo: Image.Image, face: Laid, share: float, ground_: Image.Image, draw: np.random.Generator) -> None:
    """Cover a share of a face's box from one side by a plain colour or a piece of ground."""
    half, (x, y) = face.width / 2, face.points.mean(0)
    side = int(draw.integers(4))
    left, top, right, bottom = x - half, y - half, x + half, y + half
    box = [
        (left, top, left + 2 * half * share, bottom), (right - 2 * half * share, top, right, bottom),
        (left, top, right, top + 2 * half * share), (left, bottom - 2 * half * share, right, bottom),
    ][side]  # fmt: skip
    edges = [round(v) for v in box]
    # It reaches beyond the box as an object would.
    reach = round(0.35 * face.width)
    outward = [-(side != 1), -(side != 3), side != 0, side != 2]
    edges = [edge + reach * way for edge, way in zip(edges, outward)]
    size = (edges[2] - edges[0], edges[3] - edges[1])
    patch = Image.new("RGB", size, tuple(draw.integers(0, 256, 3).tolist())) if draw.random() < 0.5 else ground_.resize(size)
    photo.paste(patch, (edges[0], edges[1]))


def compose_scene(material: Material, condition: str, draw: np.random.Generator) -> tuple[Pixels, list[Laid]]:
    """A photograph with as many faces of one condition as find room in 60 tries, at most 12."""
    widths, _ = CONDITIONS[condition]
    photo = ground(material, draw)
    turned = np.flatnonzero(material.yaws >= TURNED)
    straight = np.flatnonzero(material.yaws < FRONTAL)
    pool = turned if condition == "turned 45 to 80" else straight
    degrees = {"tilted 45 to 80": (45, 80), "upside down": (160, 200)}.get(condition, (0, 20))
    light = {"three times as bright": 3.0, "a quarter as bright": 0.25}.get(condition, 1.0)
    laid: list[Laid] = []
    taken: list[tuple[float, float, float]] = []
    for _ in range(60):
        if len(laid) == 12:
            break
        row = int(draw.choice(pool))
        width = float(np.exp(draw.uniform(*np.log(widths))))
        reach = width * 1.45  # the picture's half diagonal about the face, roughly
        inside = min(reach, SIDE / 2 - 1) if width < 300 else 0.6 * width
        x, y = draw.uniform(inside, SIDE - inside, 2)
        if any(np.hypot(x - a, y - b) < reach + r for a, b, r in taken):
            continue
        picture = Image.fromarray(material.pictures[row]).point(lambda v: min(round(v * light), 255))
        angle = draw.uniform(*degrees) * draw.choice([-1, 1])
        points = lay(photo, picture, material.points[row], width, angle, x, y, bool(draw.random() < 0.5))
        face = Laid(condition, width, points)
        if condition in ("a third covered", "half covered"):
            cover(photo, face, 1 / 3 if condition == "a third covered" else 1 / 2, ground(material, draw), draw)
        laid.append(face)
        taken.append((x, y, reach))
    if draw.random() < 0.2:
        photo = photo.convert("L").convert("RGB")
    if draw.random() < 0.2 and condition != "frontal 16-24":
        photo = photo.filter(ImageFilter.GaussianBlur(0.7))
    return np.asarray(photo), laid


Finder = Callable[[Pixels], tuple[NDArray[np.floating], NDArray[np.floating]]]


def make_finders(names: list[str], data: Path | None, model: Path | None, threshold: float) -> dict[str, Finder]:
    """Finders by name: photographs to scores [F] and points [F, 5, 2]."""
    from visagist.faces import detection, finder

    def of_faces(finder_name: str, smallest: int | None) -> Finder:
        def find(pixels: Pixels) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
            faces = detection.detect(pixels, smallest, finder_name)
            return np.array([f.score for f in faces]), np.array([f.landmarks for f in faces]).reshape(-1, 5, 2)

        return find

    def bare(pixels: Pixels) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        found = finder.scan(pixels, threshold=threshold, model=finder.load_finder(model))
        return found.scores, found.points

    makers: dict[str, Callable[[], Finder]] = {
        "bare": lambda: bare,
        "finder": lambda: of_faces(str(model) if model else "network", None),
        "dlib": lambda: of_faces("dlib", None),
        "dlib24": lambda: of_faces("dlib", 24),
        "mtcnn": lambda: MTCNN((data or Path()) / "weights" / "mtcnn"),
    }
    return {name: makers[name]() for name in names}


def match(points: NDArray[np.floating], laid: list[Laid]) -> dict[int, int]:
    """The row of the detection that found each laid face, by the nearest middles first."""
    if not len(points) or not laid:
        return {}
    middles = np.stack([face.points.mean(0) for face in laid])
    unit = np.array([face.width / BOX for face in laid])
    far = np.linalg.norm(points.mean(1)[None] - middles[:, None], axis=-1) / unit[:, None]
    found: dict[int, int] = {}
    for flat in np.argsort(far, axis=None):
        face, row = divmod(int(flat), far.shape[1])
        if far[face, row] >= SAME:
            break
        if face not in found and row not in found.values():
            found[face] = row
    return found


def measure(material: Material, finders: dict[str, Finder], scenes: int, seed: int) -> dict[str, Any]:
    """Counts and errors by finder and condition."""
    shares = {name: weight for name, (_, weight) in CONDITIONS.items()}
    rows: dict[str, Any] = {name: defaultdict(lambda: [0, 0, 0, []]) for name in finders}
    scores: dict[str, list[tuple[float, bool]]] = {name: [] for name in finders}
    for condition, weight in shares.items():
        number = max(round(scenes * weight / sum(shares.values())), 1)
        # Large faces fill a photograph, so there are more photographs of them.
        number *= 3 if condition == "frontal 128-400" else 1
        for index in range(number):
            draw = np.random.default_rng([seed, list(shares).index(condition), index])
            photo, laid = compose_scene(material, condition, draw)
            for name, find in finders.items():
                values, points = find(photo)
                found = match(points, laid)
                row = rows[name][condition]
                row[0] += len(laid)
                row[1] += len(found)
                row[2] += len(points) - len(found)
                for face, detection in found.items():
                    error = np.linalg.norm(points[detection] - laid[face].points, axis=-1).mean()
                    row[3].append(float(error / (laid[face].width / BOX)))
                hits = set(found.values())
                scores[name] += [(float(v), i in hits) for i, v in enumerate(values)]
        print(condition, {name: (rows[name][condition][:3]) for name in finders}, flush=True)
    return {name: {"rows": dict(rows[name]), "scores": scores[name]} for name in finders}


def interval(hits: int, number: int) -> str:
    if not number:
        return "-"
    low, high = binomtest(hits, number).proportion_ci(method="wilson")
    return f"{hits / number:.1%} [{low:.1%}, {high:.1%}]"


def show(figures: dict[str, Any]) -> None:
    """Recall, precision and error of points by condition, one column a finder."""
    names = list(figures)
    print("| condition | n | " + " | ".join(f"{name}: found, false, error" for name in names) + " |")
    for condition in CONDITIONS:
        cells = []
        for name in names:
            number, hits, false, errors = figures[name]["rows"][condition]
            mean = f"{np.mean(errors):.3f}" if errors else "-"
            cells.append(f"{interval(hits, number)}, {false}, {mean}")
        print(f"| {condition} | {number} | " + " | ".join(cells) + " |")
    for name in names:
        rows = figures[name]["rows"].values()
        hits, false = sum(row[1] for row in rows), sum(row[2] for row in rows)
        print(f"{name}: precision {interval(hits, hits + false)} of {hits + false}, faces {sum(row[0] for row in rows)}")


def metrics(figures: dict[str, Any], name: str) -> dict[str, Any]:
    """Recall and error of points by condition, and precision, of one finder, as in `metrics.json`."""
    values: dict[str, Any] = {}
    for condition, (number, hits, _, errors) in figures[name]["rows"].items():
        key = condition.replace(" ", "_")
        values[f"recall.{key}"] = share(hits, number)
        if errors:
            means = np.random.default_rng(0).choice(errors, (2000, len(errors))).mean(1)
            low, high = np.quantile(means, [0.025, 0.975])
            value = {"value": float(np.mean(errors)), "low": float(low), "high": float(high), "n": len(errors)}
            values[f"points.{key}"] = value
    rows = figures[name]["rows"].values()
    hits, false = sum(row[1] for row in rows), sum(row[2] for row in rows)
    return {"precision": share(hits, hits + false), **values}


def share(hits: int, number: int) -> dict[str, Any]:
    low, high = binomtest(hits, number).proportion_ci(method="wilson")
    return {"value": hits / number, "low": float(low), "high": float(high), "n": number}


def speed(finders: dict[str, Finder], rounds: int) -> None:
    """Milliseconds of the clock and of the processor for photographs of 1 024² and 24 megapixels, and against dlib's."""
    from photo import portrait_in

    small = portrait_in(1024)
    large = np.asarray(Image.fromarray(small).resize((6000, 4000), Image.Resampling.BICUBIC))
    for label, photo in (("1024²", small), ("24 MP", large)):
        medians = {}
        for name, find in finders.items():
            find(photo)
            wall, own = [], []
            for _ in range(rounds):
                start, used = time.perf_counter(), time.process_time()
                find(photo)
                wall.append(1000 * (time.perf_counter() - start))
                own.append(1000 * (time.process_time() - used))
            medians[name] = statistics.median(own)
            clock = f"clock {statistics.median(wall):8.1f} least {min(wall):8.1f}"
            print(f"{label:8}{name:10} {clock} processor {medians[name]:8.1f} ms")
        if "dlib" in medians:
            print(label, {name: f"{value / medians['dlib']:.3f} of dlib" for name, value in medians.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split", choices=list(PARTITION), default="val")
    parser.add_argument("--grounds", type=Path)
    parser.add_argument("--finders", default="finder,dlib,mtcnn")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    finders = make_finders(given.finders.split(","), given.data, given.model, given.threshold)
    if given.speed:
        speed(finders, given.rounds)
        return
    material = read_material(given.data, given.split, given.grounds, 2000)
    figures = measure(material, finders, given.scenes, given.seed)
    if given.out:
        given.out.write_text(json.dumps({"figures": figures, "metrics": metrics(figures, next(iter(figures)))}))
    show(figures)


if __name__ == "__main__":
    main()
