"""Loading faces for training, and packing them once: the pack against decoding in every epoch.

The photographs are drawn faces as JPEG files, so decoding costs what it costs of CelebA's; they lie in the file cache.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from suite.machine import version
from suite.photographs import Photographs, by_simplejpeg, cropped, plainly, resized, write_photographs
from suite.step import contestants as steps
from suite.timing import Given, Group, Part, Ratio, Seconds, Work, by_turns, compare
from visagist.data import pack
from visagist.data.faces import Faces
from visagist.training.batches import Batches
from visagist.training.precision import has_bf16

BATCH, WORKERS = 64, 2
CPU = torch.device("cpu")


def run(given: Given) -> Part:
    number, different, size = (128, 16, 16) if given.quick else (1024, 256, 64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_photographs(folder / "photographs", number, different)
        part = Part()
        part.groups.append(_packing(given, folder, paths, size, part))
        faces = pack(f"folder:{folder / 'photographs'}", folder / "pack", image_size=size)
        part.groups += [_loading(given, faces, paths, size), _share(given, faces, size)]
        return part


@contextlib.contextmanager
def _one_worker() -> Iterator[None]:
    before = os.environ.get("VISAGIST_WORKERS")
    os.environ["VISAGIST_WORKERS"] = "1"
    try:
        yield
    finally:
        del os.environ["VISAGIST_WORKERS"]
        if before is not None:
            os.environ["VISAGIST_WORKERS"] = before


def _alone(paths: list[Path], size: int) -> dict[str, Work]:
    """The two halves of what Pillow does."""
    pictures = [cropped(path) for path in paths]

    def decoding() -> None:
        for path in paths:
            cropped(path)

    def resizing() -> None:
        for picture in pictures:
            resized(picture, size)

    return {"decoding and cropping alone": decoding, "Lanczos alone": resizing}


def _packing(given: Given, folder: Path, paths: list[Path], size: int, part: Part) -> Group:
    def packed() -> None:
        shutil.rmtree(folder / "pack", ignore_errors=True)
        pack(f"folder:{folder / 'photographs'}", folder / "pack", image_size=size)

    def plain() -> None:
        with open(folder / "plain.bin", "wb") as file:
            for path in paths:
                file.write(plainly(path, size).tobytes())

    group = Group(f"packing {len(paths)} photographs of 178×218 to {size} px, one core", {"image_size": size})
    runners: dict[str, Work] = {"visagist data pack": packed, "Pillow": plain, **_alone(paths, size)}
    if version("simplejpeg"):
        runners["simplejpeg, Pillow's Lanczos"] = lambda: [by_simplejpeg(path, size) for path in paths]
        same = sum(by_simplejpeg(path, size).tobytes() == plainly(path, size).tobytes() for path in paths)
        group.figure("pictures that simplejpeg decodes to the same pixels", same / len(paths), "")
    else:
        part.skipped["simplejpeg"] = "simplejpeg is not installed: pip install -r benchmarks/requirements.txt"
    with _one_worker():
        seconds = by_turns(runners, given.rounds_or(7), CPU)
    compare(group, seconds, len(paths), [Ratio(name, "Pillow") for name in runners if name != "Pillow"])
    group.figure("packing", group.contestants["visagist data pack"]["per_second"], "images/s/core", least=2500)
    group.notes.append("the pack also checks each picture, hashes what it writes and brings it to the disk")
    return group


def _loading(given: Given, faces: Faces, paths: list[Path], size: int) -> Group:
    """One pass over all faces in batches of floats."""
    batches = Batches(faces, faces.indices("train"), 0, True)
    photographs = Photographs(paths, size)
    loader = DataLoader(photographs, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def from_pack() -> None:
        for start in range(0, len(paths), BATCH):
            batches.take(start, BATCH, CPU)

    def one_by_one() -> None:
        for start in range(0, len(paths), BATCH):
            torch.stack([photographs[row] for row in range(start, start + BATCH)])

    def by_workers() -> None:
        for _ in loader:
            pass

    runners = {"pack": from_pack, "Pillow, image by image": one_by_one, f"DataLoader, {WORKERS} workers": by_workers}
    group = Group(f"loading {size} px in batches of {BATCH}", {"image_size": size, "batch_size": BATCH})
    ratios = [Ratio("pack", name) for name in runners if name != "pack"]
    return compare(group, by_turns(runners, given.rounds_or(7), CPU), len(paths), ratios)


def _share(given: Given, faces: Faces, size: int) -> Group:
    """What a batch costs beside a step that uses it."""
    width, batch_size = (4, 8) if given.quick else (32, BATCH)
    precision = "bf16" if has_bf16(CPU) else "fp32"
    batches = Batches(faces, faces.indices("train"), 0, True)
    places = iter(range(0, 10**9, batch_size))
    engine = steps(width, size, batch_size, precision, CPU)["engine"]
    runners = {"step": engine, "loading": lambda: batches.take(next(places), batch_size, CPU)}
    group = Group(f"loading beside a step of ifcvae-gan, width {width}, {size} px, batch {batch_size}", {"width": width})
    seconds: Seconds = by_turns(runners, given.rounds_or(15), CPU)
    compare(group, seconds, batch_size, [])
    shares = [spent / (spent + stepping) for spent, stepping in zip(seconds["loading"], seconds["step"])]
    group.figure("loading, of loading and step", statistics.median(shares), "", most=0.03)
    return group
