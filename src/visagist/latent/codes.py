"""Faces to codes and back, in batches, for what works in the code of any model that has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.boundary.forks import check_fork
from visagist.errors import VisagistError
from visagist.latent.backend import FaceModel, describe_capabilities
from visagist.methods.base import Code
from visagist.pixels import check_finite, to_float, to_pixels
from visagist.progress import ProgressLike, progress_of

Result = TypeVar("Result")

BATCH = 64


def check_has_codes(editor: FaceModel, use: str) -> None:
    """VisagistError unless the model turns faces into codes and back; `use` says what the codes are for."""
    if not editor.can("autoencode"):
        able = describe_capabilities(editor.backend)
        raise VisagistError(f"{editor.name} ({editor.backend.name}) has no code for {use}: it can {able}")


def check_size(editor: FaceModel, images: NDArray[np.uint8]) -> None:
    """VisagistError unless the faces [N, S, S, 3] are as large as the model sees them."""
    if images.shape[1] != editor.image_size:
        raise VisagistError(
            f"these faces are {images.shape[1]} pixels wide, {editor.name} sees {editor.image_size}: "
            f"load them with image_size={editor.image_size}"
        )


def encode_images(editor: FaceModel, images: NDArray[np.uint8], progress: ProgressLike = None) -> Code:
    """Posterior means z [N, Z] and attribute values y [N, A] (None where z holds everything), float32 on the CPU.

    `images` are uint8 [N, S, S, 3], N at least 1. VisagistError where they are not as large as the model sees them.
    """
    z, y = [], []
    for code in over_batches(editor, images, editor.backend.encode, progress):
        z.append(code.z.float().cpu())
        check_finite(z[-1], "code")
        y += [] if code.y is None else [code.y.float().cpu()]
    return Code(torch.cat(z), torch.cat(y) if y else None)


@torch.inference_mode()
def over_batches(
    editor: FaceModel, images: NDArray[np.uint8], read: Callable[[Tensor], Result], progress: ProgressLike = None
) -> list[Result]:
    """What `read` returns for batches [B, 3, S, S], float in [0, 1] on the model's device, of uint8 images [N, S, S, 3]."""
    check_size(editor, images)
    results = []
    with progress_of(progress) as bar:
        for start in range(0, len(images), BATCH):
            part = np.array(images[start : start + BATCH], order="C")
            results.append(read(to_float(torch.from_numpy(part), editor.device)))
            bar.report(start + len(part), len(images))
    return results


@torch.inference_mode()
def decode_codes(editor: FaceModel, code: Code, progress: ProgressLike = None) -> NDArray[np.uint8]:
    """The faces [N, S, S, 3] of codes z [N, Z] beside y [N, A], N at least 1."""
    check_fork()
    faces: list[NDArray[np.uint8]] = []
    count = len(code.z)
    with progress_of(progress) as bar:
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            y = None if code.y is None else code.y[part].to(editor.device)
            faces.append(to_pixels(editor.backend.decode(Code(code.z[part].to(editor.device), y))))
            bar.report(min(start + BATCH, count), count)
    return np.concatenate(faces)
