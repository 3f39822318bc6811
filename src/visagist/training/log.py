"""The log of a run: JSONL, TensorBoard, and sheets of the same faces during training."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from visagist.boundary.ownership import NAMESPACE, carries_mark
from visagist.boundary.schema import Count, Open, json_text, parse_json
from visagist.checkpoints.run_folder import BOARD, LOG, SAMPLES
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.methods.base import Method, Trainable
from visagist.training.board import Board
from visagist.training.trackers import Tracker


class RunLog:
    """Writes `log.jsonl`, `tensorboard/` and `samples/` of a run folder, and tells a tracker; of the first process alone."""

    def __init__(
        self, out: Path, resumed_at: int, validates_again: bool = False, tracker: Tracker | None = None
    ) -> None:
        self.out, self.path = out, out / LOG
        self.drawn = set[int]()  # image counts at which an earlier training may have written a sheet
        self._drop_rows_after(resumed_at, validates_again)
        self.board, self.tracker = Board(out / BOARD, purge_step=resumed_at + 1), tracker

    def _drop_rows_after(self, images_seen: int, validates_again: bool) -> None:
        """Drop rows written after the checkpoint that a resumed run starts from: they are written again.

        So are those of the last validation, where a run was killed between it and its last checkpoint.
        """
        if self.path.exists():
            lines = self.path.read_bytes().splitlines()
            self.drawn = {_images(line) for line in lines}
            rows = [line for line in lines if _images(line) <= images_seen]
            if validates_again:
                rows = [line for line in rows if _images(line) < images_seen or b'"kind": "val"' not in line]
            self.path.write_bytes(b"".join(row + b"\n" for row in rows) if images_seen else b"")

    def log(self, kind: str, images_seen: int, values: Mapping[str, float]) -> None:
        """Add a row; a value that is not finite is null there, and named with what it was under `not_finite`."""
        finite = {k: float(f"{v:.6g}") if math.isfinite(v) else None for k, v in values.items()}
        row: dict[str, Any] = {"kind": kind, "images": images_seen, **finite}
        not_finite = {k: str(float(v)) for k, v in values.items() if not math.isfinite(v)}
        if not_finite:
            row["not_finite"] = not_finite
        with self.path.open("a") as file:
            file.write(json_text(row) + "\n")
        tagged = {f"{kind}/{key}": value for key, value in values.items()}
        self.board.add_scalars(tagged, images_seen)
        if self.tracker is not None:
            self.tracker.add_scalars(tagged, images_seen)

    def sheet(self, trainable: Trainable, images: Tensor, images_seen: int) -> None:
        """Rows: the faces, their reconstructions, every attribute at 0 and at 1, as far as the method can."""
        rows = sample_rows(trainable, images)
        if rows:
            encoded, info = io.BytesIO(), PngInfo()
            info.add_text("Source", f"a sheet of a training, {NAMESPACE}")
            tile_rows(rows).save(encoded, "PNG", pnginfo=info)
            path = self.out / SAMPLES / f"{images_seen:09d}.png"
            listed = images_seen in self.drawn
            write_file(path, encoded.getvalue(), owned=lambda path: listed or carries_mark(path))

    def close(self) -> None:
        self.board.close()
        if self.tracker is not None:
            self.tracker.close()


@dataclass(frozen=True)
class _LogLine(Open):
    images: Count


def _images(line: bytes) -> int:
    try:
        row: _LogLine = parse_json(line, _LogLine, "a line of log.jsonl", "delete it")
    except VisagistError:
        return 1 << 62  # a line cut by a kill, or damaged since
    return row.images


@torch.no_grad()
def sample_rows(trainable: Trainable, images: Tensor) -> list[Tensor]:
    """Rows of pictures [n, 3, S, S] by the capabilities of a method on these faces; none for a judge."""
    if not isinstance(trainable, Method):
        return []
    rows = [images]
    if "autoencode" in trainable.capabilities:
        rows.append(trainable.reconstruct(images))
    if "edit" in trainable.capabilities:
        for attribute in range(min(len(trainable.attributes), 4)):
            amount = torch.zeros(len(images), len(trainable.attributes), device=images.device)
            amount[:, attribute] = trainable.paper_amount
            rows += [trainable.edit(images, torch.full_like(amount, toward), amount) for toward in (0.0, 1.0)]
    if "generate" in trainable.capabilities:
        labels = torch.zeros(len(images), len(trainable.attributes), device=images.device)
        labels[::2] = 1
        rows.append(trainable.sample(labels))
    return rows


def tile_rows(rows: list[Tensor], gap: int = 2) -> Image.Image:
    """One picture of rows of images [n, 3, S, S] in [0, 1]."""
    count, size = len(rows[0]), rows[0].shape[-1]
    sheet = Image.new("RGB", (count * (size + gap) + gap, len(rows) * (size + gap) + gap), "white")
    for j, row in enumerate(rows):
        pixels = (row.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for i, face in enumerate(pixels):
            sheet.paste(Image.fromarray(face), (gap + i * (size + gap), gap + j * (size + gap)))
    return sheet
