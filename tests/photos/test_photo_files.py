"""A photograph keeps its own form: what is edited changes, and nothing else does."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from photo_seeds import (
    DURATIONS,
    Change,
    adobe_rgb,
    deep,
    encoded,
    exif,
    portrait,
    seeds,
)
from PIL import Image, ImageOps

from visagist.errors import VisagistError
from visagist.photos.encode import encode_photo, write_photo
from visagist.photos.photo import PhotoFile, read_photo
from visagist.photos.provenance import EDITED, Step, read_xmp

STEP = Step("edited", "tiny", "abc", "Smiling=1", "detail", "1")
BOX = (8, 8, 32, 28)
EXACT = ("png", "apng", "webp lossless", "webp moving", "tiff", "bmp", "jpeg 2000")


def change(strength: float = 0.2) -> Change:
    """A change in the middle of its box; around it, none."""
    left, top, right, bottom = BOX
    detail = np.zeros((bottom - top, right - left, 3), np.float32)
    detail[4:-4, 4:-4] = (strength, strength / 2, -strength / 3)
    return Change(BOX, detail)


def edited(photo: PhotoFile) -> PhotoFile:
    return photo.with_changes([[change()]] * len(photo.frames))


def untouched(photo: PhotoFile) -> np.ndarray:
    left, top, right, bottom = BOX
    mask = np.ones(photo.size[::-1], bool)
    mask[top + 4 : bottom - 4, left + 4 : right - 4] = False
    return mask


@pytest.mark.parametrize("name", list(seeds()))
def test_a_photo_comes_back_in_its_own_form_and_says_that_it_is_edited(name: str) -> None:
    data, suffix = seeds()[name]
    photo = read_photo(data, name)
    made = encode_photo(edited(photo), suffix, STEP)
    back = read_photo(made.data, name)
    assert (back.size, len(back.frames), back.durations) == (photo.size, len(photo.frames), photo.durations)
    assert [f.dtype for f in back.frames] == [f.dtype for f in photo.frames]
    assert back.frames[0].shape == photo.frames[0].shape
    assert back.metadata.icc == photo.metadata.icc
    said = read_xmp(back.metadata.xmp)
    assert (said.source_type, said.steps) == (EDITED, (STEP,))
    outside = untouched(photo)
    for before, after in zip(photo.frames, back.frames):
        moved = np.abs(after.astype(int) - before.astype(int))
        assert moved[~outside].mean() > 4
        if name.startswith(EXACT):
            assert not moved[outside].any()
        assert moved[outside].mean() < 3


@pytest.mark.parametrize("name", ["png", "png adobe", "png 16", "png grey gamma", "tiff 16", "png grey"])
def test_a_change_means_the_same_colours_in_every_profile_and_depth(name: str) -> None:
    photo = read_photo(seeds()[name][0])
    after = edited(photo).view().astype(float)[~untouched(photo)]
    added = change().detail[4:-4, 4:-4].reshape(-1, 3) * 255
    if "grey" in name:
        added = np.repeat(added @ np.array([0.299, 0.587, 0.114])[:, None], 3, 1)
    wanted = np.clip(photo.view().astype(float)[~untouched(photo)] + added, 0, 255)
    off = np.abs(after - wanted)
    assert np.median(off) <= 1
    assert off.mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_lies_on_its_side_is_set_upright_and_is_not_turned_again(orientation: int) -> None:
    data = encoded(portrait(), "PNG", exif=exif(orientation))
    photo = read_photo(data)
    with Image.open(io.BytesIO(data)) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(photo.view(), upright)
    back = read_photo(encode_photo(photo, ".png", STEP).data)
    assert np.array_equal(back.view(), upright)


def said_by(data: bytes) -> Image.Exif:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.getexif()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff exif", "avif"])
def test_what_the_camera_wrote_is_kept_unless_it_is_to_be_stripped(name: str) -> None:
    data, suffix = seeds()[name]
    photo = read_photo(data)
    kept = said_by(encode_photo(photo, suffix, STEP).data)
    assert kept[0x010F] == "Maker"
    assert kept[0x0131] == "edited with visagist, tiny: Smiling=1"
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
    assert kept.get_ifd(0x8825)[1] == "N"
    stripped = encode_photo(photo, suffix, STEP, strip_metadata=True).data
    assert 0x010F not in said_by(stripped)
    assert not said_by(stripped).get_ifd(0x8825)
    assert read_xmp(read_photo(stripped).metadata.xmp).steps == (STEP,)


def test_a_jpeg_keeps_its_tables_its_sampling_its_comment_and_its_other_segments() -> None:
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0"
    segment = b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc
    data = encoded(portrait(), "JPEG", quality=71, subsampling=1, progressive=True, comment=b"mine", extra=segment)
    photo = read_photo(data)
    back = read_photo(encode_photo(edited(photo), ".jpg", STEP).data)
    assert photo.form == back.form
    assert (back.metadata.comment, segment in back.metadata.segments) == (b"mine", True)
    again = read_photo(encode_photo(photo, ".jpg", STEP).data)
    assert np.abs(again.view().astype(int) - photo.view()).mean() < 0.5


def test_a_png_keeps_its_texts_and_its_resolution() -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Title", "a face")
    texts.add_itxt("Author", "née", "fr")
    back = read_photo(encode_photo(read_photo(encoded(portrait(), "PNG", pnginfo=texts, dpi=(300, 300))), ".png", STEP).data)
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    assert any(b"a face" in content for _, content in back.metadata.chunks)
    assert any("née".encode() in content for _, content in back.metadata.chunks)


def test_another_format_holds_what_it_can_and_says_what_it_cannot() -> None:
    alpha, sixteen, moving = (read_photo(seeds()[name][0]) for name in ("png alpha", "png 16", "gif moving"))
    assert encode_photo(alpha, ".jpg", STEP).notes == ("its transparency becomes white in a JPEG",)
    assert encode_photo(sixteen, ".webp", STEP).notes == ("16 bits a channel become 8 in a WEBP",)
    assert encode_photo(moving, ".jpg", STEP).notes == ("of its 3 frames a JPEG holds the first",)
    webp = read_photo(encode_photo(moving, ".webp", STEP).data)
    assert webp.durations == tuple(DURATIONS)
    assert read_photo(seeds()["jpeg cmyk"][0]).notes == ("CMYK is written as RGB, in sRGB",)


def test_the_view_of_a_wide_gamut_photo_is_srgb() -> None:
    pixels = np.full((8, 8, 3), (200, 60, 60), np.uint8)
    wide = read_photo(encoded(Image.fromarray(pixels), "PNG", icc_profile=adobe_rgb())).view()
    assert wide[0, 0, 0] > 220
    assert np.array_equal(read_photo(encoded(Image.fromarray(pixels), "PNG")).view(), pixels)


def test_a_picture_in_memory_is_a_photo_too() -> None:
    picture = portrait()
    picture.info["icc_profile"] = adobe_rgb()
    back = read_photo(encode_photo(read_photo(picture), ".jpg", STEP).data)
    assert back.metadata.icc == adobe_rgb()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a picture"),
        (b"not a picture", "is not a picture"),
        (seeds()["jpeg"][0][:400], "cannot read"),
        (seeds()["png"][0][:-200], "cannot read"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "32 bits a channel"),
    ],
)
def test_what_is_no_photo_is_one_line(data: bytes, said: str) -> None:
    with pytest.raises(VisagistError, match=said) as refused:
        read_photo(data, "it")
    assert "\n" not in str(refused.value)


def test_a_photo_of_too_many_pixels_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encoded(Image.new("1", (20000, 20000)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(VisagistError, match=r"400\.0 megapixels, more than 200"):
        read_photo(bomb, "bomb.png")
    monkeypatch.setenv("VISAGIST_MAX_MEGAPIXELS", "0.005")
    with pytest.raises(VisagistError, match="more than 0"):
        read_photo(seeds()["gif moving"][0])
    monkeypatch.setenv("VISAGIST_MAX_MEGAPIXELS", "many")
    with pytest.raises(VisagistError, match="give a number"):
        read_photo(seeds()["jpeg"][0])


def test_a_file_is_written_whole_and_a_bmp_is_not_since_it_could_not_say_what_it_is(tmp_path: Path) -> None:
    photo = read_photo(seeds()["jpeg"][0])
    assert write_photo(photo, tmp_path / "new" / "out.png", STEP) == ()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out.png"]
    with pytest.raises(VisagistError, match=r"not written as \.bmp"):
        write_photo(photo, tmp_path / "out.bmp", STEP)
    with pytest.raises(VisagistError, match="cannot hold"):
        write_photo(read_photo(Image.new("RGB", (70000, 8))), tmp_path / "out.jpg", STEP)


def test_formats_that_need_an_extra_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(VisagistError, match=r"visagist\[deep\]"):
        read_photo(seeds()["png 16"][0])
    with pytest.raises(VisagistError, match=r"visagist\[heic\]"):
        read_photo(seeds()["heic"][0])


def test_the_lower_bits_of_a_deep_photo_are_kept() -> None:
    photo = read_photo(seeds()["png 16"][0])
    assert np.array_equal(photo.frames[0], deep(portrait()))
