from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ATTRIBUTES = ("Smiling", "Eyeglasses", "Male")


def _jpeg(seed: int, size: tuple[int, int] = (178, 218)) -> bytes:
    """A smooth random picture as JPEG."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8))
    stream = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _make_celeba(folder: Path, number: int = 20, landmarks: bool = False) -> Path:
    """The genuine layout, with its trailing spaces and its columns padded to the width of −1."""
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    files = [f"{i + 1:06d}.jpg" for i in range(number)]
    for i, file in enumerate(files):
        (images / file).write_bytes(_jpeg(i))
    rows = [f"{file} {i % 2 * 2 - 1:2d} {-1:2d} {1 if i % 3 else -1:2d}" for i, file in enumerate(files)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(number), " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
    # The first files are of the test split, so that the order of splits is not that of names.
    splits = [2 if i < 4 else 1 if i < 6 else 0 for i in range(number)]
    (folder / "list_eval_partition.txt").write_text("".join(f"{f} {s}\n" for f, s in zip(files, splits, strict=True)))
    (folder / "identity_CelebA.txt").write_text("".join(f"{f} {100 + i}\n" for i, f in enumerate(files)))
    if landmarks:
        names = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
        points = [f"{f}  69  109  106  113   77  142   73  152  108  154" for f in files]
        text = "\n".join([str(number), names, *points]) + "\n"
        (folder / "list_landmarks_align_celeba.txt").write_text(text)
    return folder


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    return _jpeg


@pytest.fixture
def make_celeba() -> Callable[..., Path]:
    return _make_celeba


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    return _make_celeba(tmp_path / "celeba")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test of the data layer reads or writes the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VISAGIST_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_celeba() -> Path:
    folder = os.environ.get("VISAGIST_DATA")
    if not folder:
        pytest.skip("set VISAGIST_DATA to a folder that holds celeba/ to test on real faces")
    return Path(folder) / "celeba"


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pack of the real faces for all tests that read them."""
    return tmp_path_factory.mktemp("real-cache")
