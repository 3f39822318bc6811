"""Edit the rows of a Ray dataset: `dataset.map_batches(EditBatch, fn_constructor_kwargs={"strengths": {"Smiling": 1}}, …)`.

Reading, writing, placing and retrying are Ray's. For shards whose every key is to be in the output exactly once, whatever
dies, there is `visagist bulk --ray`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from visagist.boundary.schema import json_text
from visagist.bulk.editing import BATCH, BulkConfig, edit_samples
from visagist.bulk.samples import Sample
from visagist.bulk.workers import choose_precision, open_editor
from visagist.editing.modes import Mode
from visagist.editing.photo_edit import FaceChoice
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError

__all__ = ["EditBatch"]


class EditBatch:
    """Edit a batch of rows; an actor of Ray makes one, and it keeps its model.

    A batch is a dict of columns. `column` holds the bytes of a picture's file (or Hugging Face's `{"bytes", "path"}`), or
    its uint8 pixels [H, W, 3], as `ray.data.read_images` gives them. It comes back as bytes, pixels as a PNG, which say that
    they are edited. `account_column` holds the account in JSON, as beside each picture of `visagist bulk`; a picture that
    cannot be edited stays as it was, and the account says why. All other columns stay.
    """

    def __init__(
        self, strengths: Mapping[str, float], model: str | None = None, column: str | None = None, device: str = "auto",
        mode: str | None = None, face: FaceChoice = "largest", aligned: bool | None = None, strip_metadata: bool = False,
        force: bool = False, batch_size: int = BATCH, account_column: str = "edit", precision: str = "auto",
    ) -> None:  # fmt: skip
        """Arguments as the options of `visagist bulk`; `column` is by default `image`, `bytes`, `jpg`, `png` or the like.

        VisagistError for attributes and models that there are not.
        """
        request = EditRequest(
            dict(strengths), Mode(mode) if mode else None, face, aligned, strip_metadata=strip_metadata, force=force
        )
        self.column, self.account_column = column, account_column
        self.editor = open_editor(model, list(strengths), device)
        self.editor.edit([], **dict(strengths))  # refuses what it cannot edit
        self.config = BulkConfig(request, "", batch=batch_size, precision=choose_precision(self.editor, request, precision))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        column = self.column or _column_in(batch)
        if column not in batch:
            raise VisagistError(f"there is no column {column!r}: the batch has {', '.join(batch)}")
        names = batch.get("path")
        samples = [_sample(index, cell, names) for index, cell in enumerate(batch[column])]
        edited = list(edit_samples(self.editor, samples, self.config))
        pictures, accounts = np.empty(len(edited), object), np.empty(len(edited), object)
        pictures[:] = [one.picture for one in edited]
        accounts[:] = [json_text(one.account) for one in edited]
        return {**batch, column: pictures, self.account_column: accounts}


def _column_in(batch: Mapping[str, Any]) -> str:
    names = ("image", "bytes", "jpg", "jpeg", "png", "webp")
    for name in names:
        if name in batch:
            return name
    raise VisagistError(f"no column of pictures among {', '.join(batch)}: name it by column=")


def _sample(index: int, cell: Any, names: Sequence[str] | None) -> Sample:
    name = str(names[index]) if names is not None else ""
    if isinstance(cell, dict):
        name, cell = str(cell.get("path") or name), cell.get("bytes")
    if isinstance(cell, np.ndarray) and cell.dtype == np.uint8 and cell.ndim in (2, 3):
        buffer = io.BytesIO()
        Image.fromarray(cell[..., 0] if cell.ndim == 3 and cell.shape[2] == 1 else cell).save(buffer, "PNG")
        return Sample(str(index), f"{index}.png", buffer.getvalue())
    if cell is not None and not isinstance(cell, (bytes, bytearray, memoryview)):
        raise VisagistError(f"row {index} holds a {type(cell).__name__}, no bytes and no uint8 pixels: name another column")
    return Sample(str(index), PurePosixPath(name).name or str(index), bytes(cell) if cell is not None else None)
