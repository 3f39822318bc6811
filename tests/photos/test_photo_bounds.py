"""A small file cannot ask for minutes or gigabytes: what is counted is refused in one line before it is read."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from photo_seeds import encoded, portrait, seeds
from PIL import Image

from visagist.data.crops import BadImageError, decode_face
from visagist.errors import VisagistError
from visagist.photos import bounds
from visagist.photos.encode import encode_photo
from visagist.photos.metadata import insert_png_chunks
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step, add_step, is_readable, read_xmp
from visagist.photos.provenance_reading import read_provenance

pytestmark = pytest.mark.timeout(10)
STEP = Step("edited", "tiny", "abc", "Smiling=1", "detail", "1")
MANY = 100_000
PACKED = zlib.compress(bytes(100_000_000), 1)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def gif(frames: int) -> bytes:
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<2H3B", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def webp(frames: int) -> bytes:
    still = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = bytes(12) + b"\x01\0\0\0" + still
    anmf = b"ANMF" + struct.pack("<I", len(frame)) + frame + b"\0" * (len(frame) % 2)
    body = (
        b"WEBP" + b"VP8X" + struct.pack("<IB", 10, 2) + bytes(9) + b"ANIM" + struct.pack("<I", 6) + bytes(6) + anmf * frames
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chained_tiff(pages: int, back_to: int | None = None) -> bytes:
    """A TIFF of directories of one entry each, one after the other; the last leads back to one of them, or nowhere."""
    places = [8 + 18 * i for i in range(pages)]
    nexts = [*places[1:], 0 if back_to is None else places[back_to]]
    return b"II*\0\x08\0\0\0" + b"".join(struct.pack("<HHHIII", 1, 256, 3, 1, 1, after) for after in nexts)


def pages(number: int) -> bytes:
    """A TIFF of one small picture, to which many pages lead."""
    data = encoded(portrait(), "TIFF")
    first = struct.unpack("<I", data[4:8])[0]
    after = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    directory, start = data[first:after], len(data) + len(data) % 2
    places = [start + (len(directory) + 4) * i for i in range(1, number)]
    chain = b"".join(directory + struct.pack("<I", place) for place in [*places, 0])
    return data[:after] + struct.pack("<I", start) + data[after + 4 :] + bytes(start - len(data)) + chain


def scans(number: int) -> bytes:
    """A progressive JPEG of 16 megapixels with many scans of which each says nothing."""
    picture = encoded(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    start = picture.index(b"\xff\xda")
    return picture[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" * number + b"\xff\xd9"


def exif_of(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *e) for e in entries)
        + (struct.pack("<I", following))
    )


def with_exif(kind: str, exif: bytes) -> bytes:
    return encoded(portrait(), kind, exif=b"Exif\0\0" + exif)


BOMBS = {
    "gif frames": (gif(MANY), "more than 5,000"),
    "webp frames": (webp(bounds.MAX_FRAMES + 1), "more than 5,000"),
    "tiff pages": (pages(20_000), "more than 5,000"),
    "jpeg scans": (scans(2000), "scans"),
    "jpeg segments": (b"\xff\xd8" + b"\xff\xfe\0\x02" * MANY + seeds()["jpeg"][0][2:], "10,000 segments"),
    "png chunks": (insert_png_chunks(seeds()["png"][0], [(b"tEXt", b"a\0b")] * MANY), "10,000 chunks"),
    "png frames": (insert_png_chunks(seeds()["png"][0], [(b"acTL", struct.pack(">II", MANY, 0))]), "5,000|cannot"),
    "png text": (
        insert_png_chunks(seeds()["png"][0], [(b"zTXt", b"a\0\0" + PACKED)] * 3), "cannot read"
    ),
    "png international text": (
        insert_png_chunks(seeds()["png"][0], [(b"iTXt", b"a\0\1\0\0\0" + PACKED)] * 3), "cannot read"
    ),
    "png profile": (
        insert_png_chunks(seeds()["png"][0], [(b"iCCP", b"a\0\0" + PACKED)]), "cannot read"
    ),
    "webp xmp": (encoded(portrait(), "WEBP", xmp=b" " * (17 << 20)), "MB of XMP, more than"),
    "exif shared values": (
        with_exif("JPEG", exif_of([(1000 + i, 7, 60_000, 8) for i in range(4000)]) + bytes(12_000)), "claims"
    ),
    "png exif shared values": (
        with_exif("PNG", exif_of([(1000 + i, 7, 200_000, 8) for i in range(9000)]) + bytes(100_000)), "claims"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_soon_in_one_line_and_in_little_memory(name: str, tmp_path: Path) -> None:
    data, said = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(VisagistError, match=said) as refused:
            read_photo(data, "it")
        if name != "webp xmp":  # which a data source does not read
            with pytest.raises(BadImageError):
                decode_face(data, "square", 16)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000 + 2 * len(data)
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refused.value)
    (tmp_path / "it.png").write_bytes(data)
    with pytest.raises(VisagistError, match=said):
        read_provenance(tmp_path / "it.png")


def test_the_frames_of_every_moving_format_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = [portrait().rotate(5 * i) for i in range(4)]
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        data = encoded(moving[0], kind, save_all=True, append_images=moving[1:])
        assert len(read_photo(data).frames) == 4
        with monkeypatch.context() as patched:
            patched.setattr(bounds, "MAX_FRAMES", 3)
            with pytest.raises(VisagistError, match=r"4 frames, more than 3: give a part"):
                read_photo(data)


def test_directories_that_lead_back_to_themselves_end(tmp_path: Path) -> None:
    loop = exif_of([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)], following=8)
    for kind in ("JPEG", "PNG", "WEBP"):
        photo = read_photo(with_exif(kind, loop))
        assert photo.size == portrait().size
        assert encode_photo(photo, ".jpg", STEP).data
    with pytest.raises(VisagistError):
        read_photo(chained_tiff(3, back_to=0))


def test_a_photo_of_many_scans_that_cameras_write_is_read() -> None:
    assert read_photo(encoded(portrait(), "JPEG", progressive=True)).size == portrait().size


def entities(encoding: str) -> bytes:
    levels = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(7))
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "{"x" * 60}">{levels}]><x>&a7;</x>'
    return text.encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_xmp_that_declares_entities_is_left_out_whatever_its_encoding(encoding: str) -> None:
    xmp = entities(encoding)
    assert not is_readable(xmp)
    photo = read_photo(encoded(portrait(), "WEBP", xmp=xmp))
    made = encode_photo(photo, ".webp", STEP)
    assert "its XMP is damaged and left out" in made.notes
    assert read_xmp(read_photo(made.data).metadata.xmp).steps == (STEP,)


def packet(inside: str) -> bytes:
    return f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{inside}</rdf:RDF>'.encode()


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<a/>" * MANY, "50,000 elements"),
        ("<a>" * 5000 + "</a>" * 5000, "100 in each other"),
        ('<a b="c"/>' * 40_000, "50,000"),
    ],
)
def test_xmp_of_too_many_or_too_deep_elements_is_refused(inside: str, said: str) -> None:
    with pytest.raises(VisagistError, match=said):
        read_xmp(packet(inside))
    photo = read_photo(encoded(portrait(), "WEBP", xmp=packet(inside)))
    with pytest.raises(VisagistError, match=said):
        encode_photo(photo, ".png", STEP)


def test_a_history_grows_as_far_as_is_allowed_and_a_jpeg_says_what_it_cannot_hold() -> None:
    xmp = b""
    for _ in range(3):
        xmp = add_step(xmp, STEP)
    inner = xmp[xmp.index(b"<rdf:li") : xmp.index(b"</rdf:Seq>")]
    long = xmp.replace(inner, inner * 100)
    photo = read_photo(encoded(portrait(), "PNG"))
    photo = type(photo)(**{**vars(photo), "metadata": type(photo.metadata)(xmp=long)})
    assert len(read_xmp(read_photo(encode_photo(photo, ".png", STEP).data).metadata.xmp).steps) == 301
    with pytest.raises(VisagistError, match=r"history of edits has .* bytes, a JPEG holds 65,504: write \.png"):
        encode_photo(photo, ".jpg", STEP)
    with pytest.raises(VisagistError, match="more than 1,000 edits"):
        read_xmp(xmp.replace(inner, inner * 400))


def test_what_xmp_says_of_orientation_is_not_believed_twice() -> None:
    said = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    photo = read_photo(encoded(portrait(), "WEBP", lossless=True, xmp=packet(said)))
    assert photo.size == portrait().size[::-1]
    for suffix in (".webp", ".png", ".jpg", ".tif"):
        made = encode_photo(photo, suffix, STEP).data
        assert read_photo(made).size == photo.size
        with Image.open(io.BytesIO(made)) as picture:
            assert picture.getexif().get(0x0112, 1) == 1
