"""How many pictures `visagist bulk` edits in a second, by one process and by two, with one thread each.

    python benchmarks/bulk.py [--aligned 2048] [--photos 48] [--side 1024] [--processes 1 2] [--out bulk.json]
    python benchmarks/bulk.py --profile [--photos 12]
    python benchmarks/bulk.py --together [--photos 12] [--finder network] [--rounds 5]
    python benchmarks/bulk.py --memory

The portrait that ships with visagist is laid into photographs of about this side, and into CelebA's 178×218 pixels for
aligned faces; both are JPEGs in eight tar files of a temporary folder. `a process` is by the clock while it works on shards,
start and loading left out; `a core` is by the processor's time, which other work on the machine changes little.
`--profile` says in which functions a photograph's time goes, `--memory` what a process takes for a short and a long shard.
`--together` edits photographs one by one and twelve at a time, in turns, by one thread, and gives the ratio of each round.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import platform
import pstats
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from photo import portrait_in
from PIL import Image

SHARDS, MODEL = 8, "ifcvae-gan-smiling-64"
ALIGNED = (178, 218)


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def aligned_faces(number: int) -> Iterator[bytes]:
    """The portrait as an aligned picture, a little brighter or darker each time."""
    portrait = Image.fromarray(portrait_in(ALIGNED[1])).crop((20, 0, 20 + ALIGNED[0], ALIGNED[1]))
    for place in range(number):
        yield jpeg(portrait.point(lambda value, more=place % 16: min(value + more, 255)))


def photographs(number: int, side: int) -> Iterator[bytes]:
    """The portrait in photographs of about this side, of five sizes."""
    pictures = [jpeg(Image.fromarray(portrait_in(side - 16 * step))) for step in range(5)]
    for place in range(number):
        yield pictures[place % len(pictures)]


def write_shards(folder: Path, pictures: Iterator[bytes], shards: int = SHARDS) -> None:
    folder.mkdir()
    together = list(pictures)
    for shard in range(shards):
        with tarfile.open(folder / f"photos-{shard:06d}.tar", "w") as tar:
            for place, data in list(enumerate(together))[shard::shards]:
                info = tarfile.TarInfo(f"{place:06d}.jpg")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def measured(given: Path, out: Path, processes: int, words: list[str]) -> dict[str, Any]:
    """The summary of a run by so many processes."""
    command = [sys.executable, "-P", "-m", "visagist", "bulk", str(given), "--set", "Smiling=-1", "--model", MODEL, *words]
    command += ["--out", str(out), "--devices", str(processes), "--device", "cpu", "--json"]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}")
    return dict(json.loads(done.stdout))


def table(rows: list[dict[str, Any]]) -> None:
    print(f"{'':34}{'processes':>10}{'pictures':>10}{'a process':>12}{'a core':>10}{'together':>10}  pictures/s")
    for row in rows:
        print(f"{row['what']:34}{row['processes']:>10}{row['pictures']:>10}{row['a_process']:>12.2f}{row['a_core']:>10.2f}"
              f"{row['together']:>10.2f}")  # fmt: skip


def compared(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder / "aligned", aligned_faces(options.aligned))
        write_shards(folder / "photos", photographs(options.photos, options.side))
        kinds = (("aligned", "aligned 178×218, render", ["--aligned"]),
                 ("aligned", "aligned 178×218, render, fp32", ["--aligned", "--precision", "fp32"]),
                 ("aligned", "aligned 178×218, detail", ["--aligned", "--mode", "detail"]),
                 ("photos", f"photographs of {options.side}², detail", []))  # fmt: skip
        for place, (given, what, words) in enumerate(kinds):
            for processes in options.processes:
                summary = measured(folder / given, folder / f"out-{place}-{processes}", processes, words)
                rate, at_work = summary["pictures_per_second_of_a_process"], len(summary["processes"])
                row = {"what": what, "processes": at_work, "pictures": summary["pictures"]["edited"], "a_process": rate}
                rows.append({**row, "a_core": summary["pictures_per_second_of_a_core"], "together": rate * at_work})
    return rows


def profile(options: argparse.Namespace) -> None:
    """Where the time of photographs goes, one thread."""
    from visagist.bulk.editing import BulkConfig, edit_samples
    from visagist.bulk.samples import Sample
    from visagist.editing.editor import Editor
    from visagist.editing.request import EditRequest

    torch.set_num_threads(1)
    editor, config = Editor.from_pretrained(MODEL, "cpu"), BulkConfig(EditRequest({"Smiling": -1.0}), "webdataset")
    samples = [Sample(str(i), f"{i}.jpg", data) for i, data in enumerate(photographs(options.photos, options.side))]
    list(edit_samples(editor, samples[:1], config))
    watch = cProfile.Profile()
    watch.runcall(list, edit_samples(editor, samples, config))
    pstats.Stats(watch).sort_stats("cumtime").print_stats(r"visagist|_dlib", 40)


def together(options: argparse.Namespace) -> None:
    """Photographs edited alone and together: medians of rounds in turns, and the ratio of each round."""
    from visagist.bulk.editing import BulkConfig, edit_samples
    from visagist.bulk.samples import Sample
    from visagist.editing.editor import Editor
    from visagist.editing.request import EditRequest, edit_photographs, edit_picture
    from visagist.faces import detection
    from visagist.photos.photo import read_photo

    torch.set_num_threads(1)
    detection.DEFAULT_FINDER = options.finder
    editor, request = Editor.from_pretrained(MODEL, "cpu"), EditRequest({"Smiling": -1.0})
    data = list(photographs(options.photos, options.side))
    photos = [read_photo(picture) for picture in data]
    samples = [Sample(str(i), f"{i}.jpg", picture) for i, picture in enumerate(data)]
    config = BulkConfig(request, "webdataset")

    def alone() -> None:
        for sample in samples:
            edit_picture(editor, read_photo(sample.picture or b""), request).encode(".jpg")

    ways = {
        "edited alone": lambda: [edit_picture(editor, photo, request) for photo in photos],
        "edited together": lambda: edit_photographs(editor, photos, request),
        "decoded, edited, encoded alone": alone,
        "by edit_samples": lambda: list(edit_samples(editor, samples, config)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name].append((time.process_time() - started) / len(photos))
    for name, times in seconds.items():
        times = times[1:]
        first = seconds["edited alone" if name.startswith("edited") else "decoded, edited, encoded alone"][1:]
        ratios = sorted(before / now for before, now in zip(first, times))
        print(f"{name:32}{1 / np.median(times):8.2f} photographs/s of a core  ratio {np.median(ratios):.2f} "
              f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]")  # fmt: skip


def memory() -> None:
    """The most that a process held while it edited one shard of few faces, and one of many."""
    with tempfile.TemporaryDirectory() as name:
        for number in (256, 4096):
            given = Path(name) / str(number)
            write_shards(given, aligned_faces(number), 1)
            measured(given, Path(name) / f"out-{number}", 1, ["--aligned"])
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{number} aligned faces in one tar file: {most:.0f} MiB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aligned", type=int, default=2048, help="how many aligned faces")
    parser.add_argument("--photos", type=int, default=48, help="how many photographs")
    parser.add_argument("--side", type=int, default=1024, help="the side of the photographs in pixels")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--finder", default="dlib", help="dlib, network or a finder's folder, for --together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        memory()
        return
    if options.together:
        together(options)
        return
    if options.profile:
        profile(options)
        return
    rows = compared(options)
    table(rows)
    if options.out:
        facts = {
            "torch": torch.__version__,
            "numpy": np.__version__,
            "machine": platform.processor(),
            "cores": os.cpu_count(),
        }
        options.out.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
