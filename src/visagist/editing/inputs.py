"""Faces as people give them and get them back: pictures, paths, arrays and tensors, one or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from visagist.boundary.forks import check_fork
from visagist.data.crops import ALIGNED_SIZE, CROPS, Box
from visagist.errors import VisagistError
from visagist.latent.backend import Backend
from visagist.photos.edited_picture import xmp_of
from visagist.photos.formats import TITLES, format_of_bytes
from visagist.photos.in_memory import bytes_of, picture_of_array
from visagist.photos.opening import load_whole, open_header
from visagist.photos.photo import read_bytes
from visagist.pixels import to_floats_of, to_pixels
from visagist.runtime.arrays import Floats, is_tensor, to_floats
from visagist.runtime.sampling import resize_lanczos

if TYPE_CHECKING:
    from torch import Tensor

WANTED = (
    "give PIL images, paths, bytes, open files, uint8 or float arrays [N, H, W, 3] or float tensors [N, 3, H, W] in [0, 1], "
    "one or a list"
)
_SEAM = 1 / 8


@dataclass(frozen=True)
class Photo:
    """One picture as it was given: `pixels` are uint8 [H, W, 3] or a float tensor [3, H, W], the face is inside `box`.

    `xmp` is what its file says of it.
    """

    pixels: NDArray[np.uint8] | Tensor
    box: Box
    xmp: bytes = b""

    def whole(self) -> Floats:
        """All pixels [3, H, W] as float32 in [0, 1]."""
        return to_floats(self.pixels) if is_tensor(self.pixels) else to_floats_of(self.pixels)

    def upright(self) -> NDArray[np.uint8]:
        """All pixels [H, W, 3] as uint8."""
        return to_pixels(self.whole()) if is_tensor(self.pixels) else self.pixels

    def face(self, image_size: int) -> Floats:
        """The box as the model sees it, [3, S, S] float32 in [0, 1]; the filter is that of the training data."""
        left, top, right, bottom = self.box
        if is_tensor(self.pixels):
            face = self.whole()[:, top:bottom, left:right]
            return np.clip(resize(face, image_size, image_size), 0, 1)
        face_pixels = self.pixels[top:bottom, left:right]
        if face_pixels.shape[:2] != (image_size, image_size):
            face_pixels = resize_lanczos(face_pixels, image_size)
        return to_floats_of(face_pixels)

    def with_change(self, change: Floats) -> Floats:
        """The whole photo [3, H, W] plus a signed change [3, S, S] laid over the box; it fades where the box ends."""
        left, top, right, bottom = self.box
        photo = np.array(self.whole())
        width, height = right - left, bottom - top
        fade = _fade(height, top > 0, bottom < photo.shape[1])[:, None]
        fade = fade * _fade(width, left > 0, right < photo.shape[2])
        photo[:, top:bottom, left:right] += resize(change, height, width) * fade
        return np.clip(photo, 0, 1)


def resize(image: Floats, height: int, width: int) -> Floats:
    """An image [C, H, W] at another size, bicubic, antialiased."""
    if image.shape[1:] == (height, width):
        return image
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in image)
    return np.stack([np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes])


@dataclass(frozen=True)
class Item:
    """One face: how to load it, and how to give a result [3, h, w] in [0, 1] back in the form it came in."""

    load: Callable[[], Photo]
    restore: Callable[[Floats], Any]


# Results of the items, and the height and width that an empty array has (None: those of the input).
Together = Callable[[list[Any], "tuple[int, int] | None"], Any]


def take_apart(faces: Any, crop: str | None = None) -> tuple[list[Item], Together]:
    """The faces one by one, and the function that puts their results together in the form that `faces` had.

    `crop` is what the model was trained on: it is cut out of pictures of CelebA's aligned size, the largest centred
    square out of all others. Paths are read late and come back as PIL images. VisagistError for anything else.
    """
    check_fork()
    if isinstance(faces, np.ndarray) and faces.ndim == 4 and faces.shape[-1] in (1, 3, 4) and faces.dtype != np.uint8:
        return [_item(face, crop) for face in faces], lambda done, _: np.stack(done) if done else faces[:0]
    if isinstance(faces, np.ndarray) and faces.ndim not in (2, 3):
        _check_array(faces)
        return [_array_item(face, crop) for face in faces], partial(_stack_arrays, faces)
    if is_tensor(faces) and faces.ndim != 3:
        _check_tensor(faces)
        return [_tensor_item(face, crop) for face in faces], partial(_stack_tensors, faces)
    if isinstance(faces, (list, tuple)):
        kind = list if isinstance(faces, list) else tuple
        return [_item(face, crop) for face in faces], lambda done, _: kind(done)
    return [_item(faces, crop)], lambda done, _: done[0]


def _stack_arrays(
    faces: NDArray[np.uint8], done: list[NDArray[np.uint8]], size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    return np.stack(done) if done else np.zeros((0, *(size or faces.shape[1:3]), 3), np.uint8)


def _stack_tensors(faces: Tensor, done: list[Tensor], size: tuple[int, int] | None) -> Tensor:
    import torch

    return torch.stack(done) if done else faces.new_zeros((0, 3, *(size or faces.shape[2:])))


def _item(face: Any, crop: str | None) -> Item:
    if isinstance(face, (str, Path)):
        return Item(lambda: _photo(*_read(Path(face)), crop), _to_picture)
    if isinstance(face, Image.Image):
        return Item(lambda: _photo(_rgb(face, "the picture"), xmp_of(face), crop), _to_picture)
    if isinstance(face, np.ndarray):
        if face.ndim == 2 or face.shape[-1:] in ((1,), (4,)) or np.issubdtype(face.dtype, np.floating):
            pixels = np.asarray(picture_of_array(face).convert("RGB"))
            return _array_item(pixels, crop) if face.dtype == np.uint8 else _float_array_item(pixels, face.dtype, crop)
        _check_array(face, single=True)
        return _array_item(face, crop)
    if is_tensor(face):
        _check_tensor(face, single=True)
        return _tensor_item(face, crop)
    if isinstance(face, (bytes, bytearray, memoryview)) or hasattr(face, "read"):
        data = bytes_of(face)
        return Item(lambda: _photo(*_read_bytes(data, "the photo"), crop), _to_picture)
    raise VisagistError(f"cannot edit a {type(face).__name__}: {WANTED}")


def _array_item(face: NDArray[np.uint8], crop: str | None) -> Item:
    return Item(lambda: _photo(face, b"", crop), to_pixels)


def _float_array_item(face: NDArray[np.uint8], dtype: Any, crop: str | None) -> Item:
    """A face given as floats in [0, 1], which come out."""
    return Item(lambda: _photo(face, b"", crop), lambda result: result.transpose(1, 2, 0).astype(dtype))


def _tensor_item(face: Tensor, crop: str | None) -> Item:
    def restore(result: Floats) -> Tensor:
        import torch

        return torch.from_numpy(np.array(result, order="C")).to(face.device, face.dtype)

    return Item(lambda: _photo(face, b"", crop), restore)


def _photo(pixels: NDArray[np.uint8] | Tensor, xmp: bytes, crop: str | None) -> Photo:
    height, width = pixels.shape[1:] if is_tensor(pixels) else pixels.shape[:2]
    aligned = (width, height) == ALIGNED_SIZE and crop in CROPS
    return Photo(pixels, CROPS[crop if aligned and crop else "square"](width, height), xmp)


def _read(path: Path) -> tuple[NDArray[np.uint8], bytes]:
    """The pixels of a picture's file, and its XMP."""
    return _read_bytes(read_bytes(path), str(path))


def _read_bytes(data: bytes, name: str) -> tuple[NDArray[np.uint8], bytes]:
    if format_of_bytes(data) is None:
        raise VisagistError(f"cannot read {name} as a picture: it is of no known format; give {TITLES}")
    with open_header(data, name) as picture:
        load_whole(picture, name)
        return _rgb(picture, name), xmp_of(picture)


def _rgb(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    """Upright RGB pixels; greyscale, palettes and transparency are converted."""
    if picture.mode.startswith(("I", "F")):
        raise VisagistError(f"{name} has pixels of mode {picture.mode}, not 8 bits a channel: convert it to RGB")
    if 0 in picture.size:
        raise VisagistError(f"{name} has no pixels: its size is {picture.size[0]}×{picture.size[1]}")
    upright = ImageOps.exif_transpose(picture)
    if "transparency" in upright.info:  # else Pillow warns that the palette's transparency is lost
        upright = upright.convert("RGBA")
    return np.asarray(upright.convert("RGB"))


def _check_array(faces: NDArray[Any], single: bool = False) -> None:
    form = "[H, W, 3]" if single else "[N, H, W, 3]"
    got = f"an array {list(faces.shape)} of {faces.dtype}"
    if faces.dtype != np.uint8:
        raise VisagistError(
            f"arrays of faces are uint8 {form}, got {got}: multiply by 255 and round, or give a float tensor"
        )
    if faces.ndim not in ((3,) if single else (3, 4)) or faces.shape[-1] != 3 or 0 in faces.shape[-3:]:
        raise VisagistError(f"arrays of faces are uint8 {form} in RGB, got {got}")


def _check_tensor(faces: Tensor, single: bool = False) -> None:
    form = "[3, H, W]" if single else "[N, 3, H, W]"
    got = f"a tensor {list(faces.shape)} of {str(faces.dtype).removeprefix('torch.')}"
    if not faces.is_floating_point():
        raise VisagistError(f"tensors of faces are float {form} in [0, 1], got {got}: divide by 255")
    if faces.ndim not in ((3,) if single else (3, 4)) or faces.shape[-3] != 3 or 0 in faces.shape[-3:]:
        raise VisagistError(f"tensors of faces are float {form} in [0, 1], got {got}")
    if not faces.numel():
        return
    low, high = (float(v) for v in faces.detach().aminmax())
    if not (low >= 0 and high <= 1):
        raise VisagistError(f"tensors of faces hold values in [0, 1], got {low:.3g} to {high:.3g}: rescale them")


def batches_of(count: int, batch_size: int) -> list[slice]:
    """The parts of `count` rows that pass a network together; VisagistError for a batch of none."""
    if batch_size < 1:
        raise VisagistError(f"batch_size is {batch_size}: give at least 1")
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def settings_of_all(
    number: int, attributes: int, target: ArrayLike, amount: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Classes and amounts [A] or [N, A] as arrays [N, A], checked."""
    shape = (number, attributes)
    try:
        targets, amounts = (np.broadcast_to(np.asarray(v, np.float32), shape) for v in (target, amount))
    except ValueError as error:
        raise VisagistError(f"target and amount are [A] or [N, A] = {list(shape)}: {error}") from error
    if not ((amounts >= 0) & (amounts <= 1)).all():
        raise VisagistError(f"amounts are in [0, 1], got {amounts.min():.3g} to {amounts.max():.3g}")
    return targets, amounts


def map_arrays(
    images: NDArray[np.uint8], backend: Backend, batch_size: int, number: int,
    change: Callable[[Any, slice], Sequence[Any]],
) -> list[NDArray[np.uint8]]:  # fmt: skip
    """Images [N, S, S, 3] after `change`, which makes `number` of each batch."""
    side = backend.image_size
    size = (side, side, 3)
    if images.dtype != np.uint8 or images.shape[1:] != size:
        raise VisagistError(f"images are uint8 [N, {side}, {side}, 3], got {list(images.shape)} of {images.dtype}")
    results = [np.zeros((len(images), *size), np.uint8) for _ in range(number)]
    for part in batches_of(len(images), batch_size):
        with backend.without_gradients():
            x = backend.take_pixels(images[part])
            for result, made in zip(results, change(x, part), strict=True):
                result[part] = to_pixels(made)
    return results


def _fade(length: int, before: bool, after: bool) -> Floats:
    """Weights [length] that rise from 0 at the ends of the box that lie inside the photo."""
    places = np.arange(length, dtype=np.float32) + np.float32(0.5)
    reach = np.float32(max(length * _SEAM, 1.0))
    weights = np.ones(length, np.float32)
    if before:
        weights = np.minimum(weights, places / reach)
    if after:
        weights = np.minimum(weights, (length - places) / reach)
    return weights


def _to_picture(image: Floats) -> Image.Image:
    return Image.fromarray(to_pixels(image))
