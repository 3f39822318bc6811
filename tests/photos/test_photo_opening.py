"""Pictures are opened strictly, and what Pillow and Python keep for the whole process is left to the program."""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from photo_seeds import seeds
from PIL import Image, ImageFile

import visagist
from visagist.data.crops import BadImageError, decode_face
from visagist.errors import VisagistError
from visagist.photos.formats import BY_SUFFIX, PICTURES, READABLE, WRITABLE, format_of_bytes
from visagist.photos.opening import open_header
from visagist.photos.photo import read_photo

GLOBAL = re.compile(r"catch_warnings|simplefilter|filterwarnings|(LOAD_TRUNCATED_IMAGES|MAX_IMAGE_PIXELS)\s*=(?!=)")


def read(number: int) -> None:
    data = list(seeds().values())[number % len(seeds())][0]
    read_photo(data if number % 3 else data[: len(data) // 2])


def test_reading_in_threads_leaves_the_programs_filters_and_flags_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123_456_789)
    before, seen = list(warnings.filters), set()
    with ThreadPoolExecutor(8) as threads:
        for result in [threads.submit(read, number) for number in range(200)]:
            seen.add((len(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS))
            assert isinstance(result.exception(), VisagistError | None)
    assert seen == {(len(before), True, 123_456_789)}
    assert list(warnings.filters) == before
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_no_module_but_probes_and_exports_touches_a_filter_or_a_flag_of_the_process() -> None:
    root = Path(visagist.__file__).parent
    touching = [path.name for path in root.rglob("*.py") if GLOBAL.search(path.read_text(encoding="utf-8"))]
    assert sorted(touching) == ["probes.py", "tracing.py"]


@pytest.mark.parametrize("name", list(seeds()))
def test_a_cut_picture_is_refused_even_where_the_program_made_pillow_lenient(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = seeds()[name][0]
    cuts = [data[: len(data) * part // 10] for part in (3, 5, 7, 8)]

    def refused() -> list[bool]:
        outcomes = []
        for cut in cuts:
            try:
                read_photo(cut, "it")
                outcomes.append(False)
            except VisagistError:
                outcomes.append(True)
        return outcomes

    strict = refused()
    assert all(strict[:2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert refused() == strict
    with pytest.raises(BadImageError):
        decode_face(cuts[0], "square", 16)
    assert read_photo(data).size


def test_a_damaged_picture_is_refused_by_a_lenient_pillow_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(seeds()["png"][0])
    place = data.index(b"IDAT") + 300
    data[place : place + 40] = bytes(40)
    for lenient in (False, True):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
        with pytest.raises(VisagistError, match="cannot read"):
            read_photo(bytes(data))


def test_the_programs_limit_of_pixels_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("jpeg", "png", "bmp", "avif"):
        assert read_photo(seeds()[name][0]).size == (48, 40)


def test_every_seed_is_known_by_its_bytes_and_every_suffix_has_one_row() -> None:
    for name, (data, suffix) in seeds().items():
        row = format_of_bytes(data)
        assert row is not None, name
        assert suffix in (row.suffixes if row.writable else (".png",)), name
        with open_header(data, name) as picture:
            assert picture.format == row.name
    assert len(PICTURES) == sum(len(row.suffixes) for row in READABLE) == len(BY_SUFFIX)
    assert {".jfif", ".heic", ".avif", ".jp2"} <= set(PICTURES)
    assert not {".bmp", ".jp2"} & set(WRITABLE)


def test_a_film_in_a_heic_file_is_told_of_beside_a_still_picture_and_refused_without_one() -> None:
    film = (16).to_bytes(4, "big") + b"moov" + bytes(8)
    notes = read_photo(seeds()["heic"][0] + film).notes
    assert "only its still picture is edited and written, not the sequence beside it" in notes
    assert not any("sequence" in note for note in read_photo(seeds()["heic"][0]).notes)
    brands = b"ftyphevc" + bytes(4) + b"msf1hevc"
    with pytest.raises(VisagistError, match="a film without a still picture: save one of its pictures as JPEG"):
        read_photo((len(brands) + 4).to_bytes(4, "big") + brands + film)
