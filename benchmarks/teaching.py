"""How many photographs teach an attribute how well: `visagist teach` on CelebA's validation faces, read by judge-64.

    python benchmarks/teaching.py celeba:PATH [--numbers 8 20 50 100] [--seeds 2] [--attributes …] --out FILE.jsonl

For each attribute, number and seed so many validation faces with it and as many without teach `vae-wgan-celeba-64`, as if
the attribute were not known; at most `--tested` of the other validation faces of each class are edited at strength 1 and -1
and read by judge-64, which neither trained, calibrated nor taught anything. A line of the file is one lesson; the lines that
are there are kept. `--table` prints the table of docs/teach.md of a file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from visagist.attributes import reads_as
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation.statistics import mean_share_ci
from visagist.judges import Judge, load_judge
from visagist.pipelines.teaching.photographs import TaughtFaces
from visagist.pipelines.teaching.teach import HELD, TAUGHT_MODEL, known_vectors, teach_faces

ATTRIBUTES = ("Eyeglasses", "Smiling", "Wearing_Hat", "Bangs")
SHIPPED = "shipped"  # in place of a number: the model's own vector, of thousands of training faces


def lesson_faces(faces: Faces, rows: np.ndarray, present: np.ndarray) -> TaughtFaces:
    squares = np.asarray(faces.images[rows])
    return TaughtFaces(
        squares, squares, present, tuple(faces.files[row] for row in rows), squares.mean((1, 2, 3)),
        np.full(len(rows), 148.0), np.zeros(len(rows), bool),
    )  # fmt: skip


def read_edits(
    editor: Editor, name: str, judge: Judge, attribute: str, faces: Faces, sides: list[np.ndarray]
) -> dict[str, Any]:
    """Whether the judge reads faces [absent, present] as of the other class, after the edit and before."""
    column, result = judge.attributes.index(attribute), {}
    for rows, strength in zip(sides, (1, -1)):
        images = np.asarray(faces.images[rows])
        edited = editor.edit(images, aligned=True, **{name: strength})
        for key, shown in (("edited", edited), ("before", editor.reconstruct(images, aligned=True))):
            result[f"{key} {strength:+d}"] = reads_as(judge.score(shown)[:, column], strength > 0).astype(int).tolist()
    return result


def run(given: argparse.Namespace) -> None:
    faces = load_data(given.data, image_size=64, crop="centre148")
    editor = Editor.from_pretrained(TAUGHT_MODEL, "cpu")
    judges = load_judge("judge-64-b"), load_judge("judge-64")
    lines = given.out.read_text().splitlines() if given.out.exists() else []
    done = {tuple(json.loads(line)["lesson"]) for line in lines}
    for seed in range(given.seeds):
        for number in (SHIPPED, *given.numbers):
            for attribute in given.attributes:
                if (attribute, number, seed) in done or (number == SHIPPED and seed):
                    continue
                began, rng = time.process_time(), np.random.default_rng(seed)
                sides = [rng.permutation(faces.indices("val", {attribute: side})) for side in (0, 1)]
                tested = [rows[-given.tested :] for rows in sides]
                if number == SHIPPED:
                    read = read_edits(editor, attribute, judges[1], attribute, faces, tested)
                else:
                    if min(map(len, sides)) < number + 20:
                        continue
                    tested = [rows[number:][-given.tested :] for rows in sides]
                    rows = np.concatenate([sides[1][:number], sides[0][:number]])
                    known = known_vectors(editor, [name for name in HELD if name != attribute])
                    some = lesson_faces(faces, rows, np.arange(2 * number) < number)
                    taught = teach_faces("Taught", some, editor, judges, known, seed=seed)
                    read = read_edits(taught.editor, "Taught", judges[1], attribute, faces, tested)
                    read["printed"] = taught.held_out.to_json()
                record = {"lesson": [attribute, number, seed], "cpu_seconds": time.process_time() - began, **read}
                with given.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                shares = {key: round(float(np.mean(value)), 3) for key, value in read.items() if key != "printed"}
                print(attribute, number, seed, shares, f"{record['cpu_seconds']:.0f} s", flush=True)


def figure(shares: list[list[int]]) -> str:
    """A mean over lessons and faces; its interval is over faces, pooled."""
    measure = mean_share_ci(np.concatenate([np.asarray(part, float) for part in shares]))
    return f"{100 * measure['value']:.0f} [{100 * measure['low']:.0f}, {100 * measure['high']:.0f}]"


def table(path: Path) -> None:
    by_lesson = defaultdict(list)
    for record in map(json.loads, path.read_text().splitlines()):
        by_lesson[record["lesson"][0], record["lesson"][1]].append(record)
    heads = "attribute, photographs of each, lessons, +1: read after, before, −1: read after, before, printed +1, printed −1"
    print(f"| {' | '.join(heads.split(', '))} |\n{'|---' * 9}|")
    for (attribute, number), records in by_lesson.items():
        cells = [figure([r[key] for r in records]) for key in ("edited +1", "before +1", "edited -1", "before -1")]
        printed = ["–", "–"]
        if number != SHIPPED:
            values = ([r["printed"]["success"][way]["value"] for r in records] for way in ("+1", "-1"))
            printed = [f"{100 * np.mean(part):.0f}" for part in values]
        print(f"| {attribute} | {number} | {len(records)} | {' | '.join(cells)} | {' | '.join(printed)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--attributes", nargs="+", default=list(ATTRIBUTES))
    parser.add_argument("--numbers", nargs="+", type=int, default=[8, 20, 50, 100])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tested", type=int, default=60)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        table(given.out)
    elif given.data is None:
        parser.error("name the data, as celeba:PATH")
    else:
        run(given)


if __name__ == "__main__":
    main()
