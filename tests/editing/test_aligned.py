"""Pictures that are one aligned face keep what their files said, wherever they are edited."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from bulk_runs import run
from edited_toys import painter
from photo_seeds import adobe_rgb, exif, grey_gamma
from PIL import Image
from shards import face, read_tar, write_parquet, write_tar

from visagist.editing.aligned import edit_aligned_photos
from visagist.photos.encode import encode_photo
from visagist.photos.photo import PhotoFile, read_photo
from visagist.photos.provenance import GENERATED, Step, read_xmp

MADE = Step("generated", "some-generator", settings="Smiling=1")


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def generated_face(seed: int = 1, kind: str = "PNG") -> bytes:
    """A file with a profile and EXIF data that says that a model generated it."""
    data = file_of(Image.fromarray(face(seed)), kind, exif=exif(), icc_profile=adobe_rgb())
    return encode_photo(read_photo(data), f".{kind.lower()}", MADE).data


def edited(data: bytes, suffix: str = ".png", mode: str = "render", **strengths: float) -> tuple[PhotoFile, PhotoFile]:
    """The edited photo before it is written, and as it is read again."""
    (photo,), step, _ = edit_aligned_photos(painter(), [read_photo(data)], strengths or {"Smiling": 1.0}, mode)
    return photo, read_photo(encode_photo(photo, suffix, step).data)


def assert_kept(data: bytes) -> None:
    """The file has the profile, the EXIF data and the history of `generated_face`, and one step more."""
    read = read_photo(data)
    assert read.metadata.icc == adobe_rgb()
    assert Image.open(io.BytesIO(data)).getexif()[0x010F] == "Maker"
    said = read_xmp(read.metadata.xmp)
    assert said.source_type == GENERATED
    assert [step.action for step in said.steps] == ["generated", "edited"]


@pytest.mark.parametrize("to", ["webdataset", "parquet", "folder"])
def test_bulk_keeps_what_aligned_pictures_say(tmp_path: Path, to: str) -> None:
    shard = write_tar(tmp_path / "in.tar", [("0.png", generated_face())])
    run(shard, tmp_path / "out", to=to)
    if to == "webdataset":
        data = dict(read_tar(tmp_path / "out" / "in.tar"))["0.png"]
    elif to == "parquet":
        data = pq.read_table(tmp_path / "out" / "in.parquet")["image"][0].as_py()["bytes"]
    else:
        data = (tmp_path / "out" / "in" / "0.png").read_bytes()
    assert_kept(data)


def test_bulk_keeps_what_aligned_pictures_of_rows_and_folders_say(tmp_path: Path) -> None:
    rows = write_parquet(tmp_path / "rows.parquet", [{"bytes": generated_face(), "path": "a.png"}])
    run(rows, tmp_path / "rows")
    assert_kept(pq.read_table(tmp_path / "rows" / "rows.parquet")["image"][0].as_py()["bytes"])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(generated_face())
    run(tmp_path / "in", tmp_path / "out")
    assert_kept((tmp_path / "out" / "a.png").read_bytes())


def test_bulk_strips_metadata_of_aligned_pictures_and_says_what_is_not_kept(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((16, 16), 30000, np.uint16))
    shard = write_tar(tmp_path / "in.tar", [("0.png", generated_face()), ("1.png", file_of(deep))])
    run(shard, tmp_path / "out", strip_metadata=True)
    members = dict(read_tar(tmp_path / "out" / "in.tar"))
    kept = read_photo(members["0.png"]).metadata
    assert 0x010F not in Image.open(io.BytesIO(members["0.png"])).getexif()
    assert kept.icc == adobe_rgb()
    assert len(read_xmp(kept.xmp).steps) == 2
    assert "16 bits" in json.loads(members["1.edit.json"])["warnings"][0]


def test_rendered_pixels_are_written_in_the_photos_own_colours() -> None:
    pixels = np.full((16, 16, 3), (90, 140, 60), np.uint8)
    photo, again = edited(file_of(Image.fromarray(pixels), icc_profile=adobe_rgb()), Smiling=0.0)
    assert again.metadata.icc == adobe_rgb()
    own = read_photo(file_of(Image.fromarray(pixels), icc_profile=adobe_rgb())).view().astype(int)
    assert np.abs(again.view().astype(int)[..., 1:] - own[..., 1:]).max() <= 2
    assert not np.array_equal(photo.frames[0][..., 1:], photo.view()[..., 1:])


def test_an_edit_in_detail_keeps_depth_alpha_and_grey() -> None:
    shades = np.linspace(1000, 60000, 256).reshape(16, 16).astype(np.uint16)
    photo, again = edited(file_of(Image.fromarray(shades), icc_profile=grey_gamma()), mode="detail")
    assert again.frames[0].dtype == np.uint16
    assert again.metadata.icc == grey_gamma()
    assert photo.notes == ()
    see_through = np.dstack([face(2), np.arange(256, dtype=np.uint8).reshape(16, 16)])
    _, again = edited(file_of(Image.fromarray(see_through)), mode="detail")
    assert np.array_equal(again.frames[0][..., 3], see_through[..., 3])


def test_an_edit_in_detail_of_a_plain_picture_has_the_editors_pixels() -> None:
    pixels = face(3)
    photo, _ = edited(file_of(Image.fromarray(pixels)), mode="detail", Smiling=0.7)
    assert np.array_equal(photo.frames[0], painter().edit(pixels, mode="detail", Smiling=0.7))


def test_what_a_rendered_face_cannot_keep_is_said() -> None:
    grey = file_of(Image.fromarray(face(1)[..., 0]), icc_profile=grey_gamma())
    photo, again = edited(grey)
    assert "profile is left out" in photo.notes[0]
    assert again.metadata.icc is None
    clear = file_of(Image.fromarray(np.dstack([face(2), np.zeros((16, 16), np.uint8)])))
    assert "transparency" in edited(clear)[0].notes[0]
    frames = [Image.fromarray(face(seed)) for seed in range(3)]
    moving = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert "of its 3 frames the first" in edited(moving)[0].notes[0]
    assert edited(file_of(frames[0]))[0].notes == ()
