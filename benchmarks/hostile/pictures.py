"""Grammars of pictures: PNG chunks, JPEG segments and scans, GIF blocks, TIFF directories, XMP, and mutated photographs."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from random import Random
from typing import Any

from hostile import readers
from hostile.damage import CONTROLS, damage_bytes
from hostile.ground import Grammar, Ground

SIDES = (1, 2, 8, 48, 65535, 0, 40_000, 2**31 - 1, 2**32 - 1)


@cache
def packed_zeros(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes << 20), 9)


def chunk(kind: bytes, content: bytes, right: bool = True) -> bytes:
    total = zlib.crc32(kind + content) ^ (not right)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", total)


def draw_png(draw: Random) -> bytes:
    """Chunks of a small PNG in an order that may be wrong, some of them doubled, hostile or unknown."""
    width, height = (draw.choice(SIDES[:4]) if draw.randrange(8) else draw.choice(SIDES) for _ in range(2))
    depth, colour = draw.choice(((8, 2), (8, 6), (8, 0), (16, 2), (8, 3), (1, 3), (1, 0), (8, 4), (16, 6), (3, 2), (8, 7)))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, draw.choice((0, 0, 0, 1, 2)))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 3)
    row = 1 + (min(width, 64) * channels * depth + 7) // 8
    rows = zlib.compress(draw.randbytes(row) * min(height, 64) if draw.randrange(2) else bytes(row * min(height, 64)))
    data = packed_zeros(64) if draw.randrange(15) == 0 else damage_bytes(draw, rows) if draw.randrange(6) == 0 else rows
    chunks = [draw_chunk(draw) for _ in range(draw.choice((0, 1, 2, 4, 200 if draw.randrange(10) == 0 else 3)))]
    half = len(data) // 2
    whole = [(b"IHDR", header), *chunks, (b"IDAT", data[:half]), (b"IDAT", data[half:]), (b"IEND", b"")]
    if draw.randrange(6) == 0:
        draw.shuffle(whole)
    if draw.randrange(8) == 0:
        whole.insert(draw.randrange(len(whole)), draw.choice(whole))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one, draw.randrange(30) > 0) for one in whole)


def draw_chunk(draw: Random) -> tuple[bytes, bytes]:
    number = draw.choice((0, 1, 2**31, 2**32 - 1))
    zeros = packed_zeros(100) if draw.randrange(10) == 0 else zlib.compress(b"text" * 10)
    text = draw.choice((b"words", CONTROLS.encode(), b"\0\xff", draw_xmp(draw)))
    return draw.choice(
        (
            (b"tEXt", b"Comment\0" + text),
            (b"tEXt", b"k" * 100),
            (b"zTXt", b"Comment\0\0" + zeros),
            (b"iTXt", b"XML:com.adobe.xmp\0" + bytes([draw.choice((0, 1, 7)), 0]) + b"\0\0" + text),
            (b"iCCP", b"profile\0\0" + zeros),
            (b"iCCP", b"profile\0\0" + zlib.compress(struct.pack(">I", number) + b"acsp" * 40)),
            (b"eXIf", draw_tiff(draw)),
            (b"PLTE", draw.randbytes(draw.choice((0, 3, 48, 768, 5)))),
            (b"tRNS", draw.randbytes(draw.choice((0, 1, 2, 6, 300)))),
            (b"gAMA", struct.pack(">I", number)),
            (b"cHRM", draw.randbytes(32)),
            (b"pHYs", struct.pack(">IIB", number, number, 1)),
            (b"acTL", struct.pack(">II", draw.choice((0, 1, 3, 2**31 - 1)), number)),
            (b"fcTL", struct.pack(">IIIIIHHBB", 0, *(draw.choice(SIDES[:5]) for _ in range(4)), 1, 0, 0, 0)),
            (b"fdAT", struct.pack(">I", 1) + zeros[:1000]),
            (b"sBIT", draw.randbytes(draw.randrange(6))),
            (b"IHDR", draw.randbytes(13)),
            (draw.choice((b"abCd", b"ABCD", b"\0\0\0\0", b"caBX")), draw.randbytes(draw.randrange(50))),
        )
    )


@cache
def seed_jpegs() -> tuple[bytes, ...]:
    from photo_seeds import seeds

    return tuple(seeds()[name][0] for name in ("jpeg", "jpeg adobe", "jpeg grey", "jpeg cmyk"))


def split_jpeg(data: bytes) -> list[bytes]:
    """The segments of a JPEG, each scan with its data."""
    parts, start = [], 0
    for place in range(2, len(data) - 1):
        if data[place] == 0xFF and data[place + 1] not in (0, 0xFF) and not 0xD0 <= data[place + 1] <= 0xD7:
            parts.append((start, place))
            start = place
    return [data[a:b] for a, b in parts] + [data[start:]]


def draw_jpeg(draw: Random) -> bytes:
    """Segments of a JPEG: frames of other sizes, scans again and again, markers that lie of their length."""
    parts = split_jpeg(draw.choice(seed_jpegs()))
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(1, len(parts))
        marker, action = parts[place][1:2], draw.randrange(7)
        if action == 0:
            scans = [i for i, part in enumerate(parts) if part[1:2] == b"\xda"] or [place]
            again = draw.choice((2, 20, 3000 if draw.randrange(3) == 0 else 100))
            where = draw.choice(scans)
            parts[where:where] = [parts[where]] * again
        elif action == 1:
            frames = [i for i, part in enumerate(parts) if part[1:2] in (b"\xc0", b"\xc2")] or [place]
            part = bytearray(parts[frames[0]])
            part[5:9] = struct.pack(">HH", *(draw.choice((0, 1, 7, 48, 20_000, 65535)) for _ in range(2)))
            parts[frames[0]] = bytes(part)
        elif action == 2:
            parts[place] = parts[place][:2] + struct.pack(">H", draw.choice((0, 1, 2, 8, 65535))) + parts[place][4:]
        elif action == 3:
            parts.insert(place, draw_segment(draw))
        elif action == 4:
            del parts[place]
        elif action == 5:
            draw.shuffle(parts)
        else:
            parts[place] = b"\xff" + marker + damage_bytes(draw, parts[place][2:])
    return b"".join(parts) + (draw.randbytes(100) if draw.randrange(6) == 0 else b"")


def draw_segment(draw: Random) -> bytes:
    content = draw.choice(
        (
            lambda: (0xE1, b"Exif\0\0" + draw_tiff(draw)),
            lambda: (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + draw_xmp(draw)),
            lambda: (0xE2, b"ICC_PROFILE\0" + bytes(draw.choices((0, 1, 255), k=2)) + draw.randbytes(200)),
            lambda: (0xE2, b"MPF\0" + draw_tiff(draw)),
            lambda: (0xED, b"Photoshop 3.0\x008BIM" + draw.randbytes(60)),
            lambda: (0xEE, b"Adobe" + draw.randbytes(7)),
            lambda: (0xFE, CONTROLS.encode()),
            lambda: (0xDD, struct.pack(">H", draw.choice((0, 1, 65535)))),
            lambda: (0xC4, draw.randbytes(40)),
            lambda: (0xDB, draw.randbytes(65)),
            lambda: (0xEB, b"JP\0\0" + draw.randbytes(60)),
        )
    )()
    number, data = content
    data = data[:65533]
    return bytes([0xFF, number]) + struct.pack(">H", len(data) + 2) + data


def draw_gif(draw: Random) -> bytes:
    """Blocks of a GIF: frames that lie outside, codes of no size, very many frames, extensions."""
    wide, high = (draw.choice((10, 10, 10, 10, 48, 0, 65535)) for _ in range(2))
    flags = draw.choice((0xF7, 0x80, 0x00, 0xF0))
    header = struct.pack("<HHBBB", wide, high, flags, draw.randrange(256), 0)
    blocks = [b"GIF89a" if draw.randrange(8) else b"GIF87a", header]
    if flags & 0x80:
        blocks.append(draw.randbytes(3 << ((flags & 7) + 1)))
    for _ in range(draw.choice((0, 1, 1, 3, 2000 if draw.randrange(8) == 0 else 10))):
        if draw.randrange(2):
            blocks.append(draw_extension(draw))
        size = [draw.choice((1, wide, high, 65535)) if draw.randrange(8) == 0 else 10 for _ in range(2)]
        corner = [draw.choice((1, 2, 65535)) if draw.randrange(8) == 0 else 0 for _ in range(2)]
        blocks.append(b"," + struct.pack("<HHHHB", *corner, *size, draw.choice((0, 0, 0x40, 0x87))))
        sound = b"\x8c\x2d\x99\x87\x2a\x1c\xdc\x33\xa0\x02\x75\xec\x95\xfa\xa8\xde\x60\x8c\x04\x91\x4c\x01"
        data = draw.choice((sound[:11], draw.randbytes(60), b"")) if draw.randrange(8) == 0 else sound
        code = draw.choice((8, 0, 1, 12, 255)) if draw.randrange(8) == 0 else 2
        blocks.append(bytes([code]) + bytes([len(data)]) * bool(data) + data + b"\0")
    blocks.append(b";" if draw.randrange(4) else b"")
    data = b"".join(blocks)
    return damage_bytes(draw, data) if draw.randrange(6) == 0 else data


def draw_extension(draw: Random) -> bytes:
    xmp = draw_xmp(draw)
    magic = bytes([1, *range(255, -1, -1), 0])
    return draw.choice(
        (
            b"!\xf9\x04" + struct.pack("<BHB", draw.randrange(32), draw.choice((0, 1, 65535)), draw.randrange(256)) + b"\0",
            b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", draw.choice((0, 65535))) + b"\0",
            b"!\xff\x0bXMP DataXMP" + xmp + magic,
            b"!\xff\x0bXMP DataXMP" + xmp,
            b"!\xfe" + bytes([len(CONTROLS.encode())]) + CONTROLS.encode() + b"\0",
            b"!\xfe" + (b"\xff" + b"c" * 255) * draw.choice((1, 3000)) + b"\0",
            b"!\x01\x0c" + draw.randbytes(12) + b"\0",
        )
    )


TAGS = (
    256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 297, 305, 317, 320, 322, 323, 324, 325, 330, 338,
    339, 347, 530, 700, 33723, 34377, 34665, 34675, 34853, 36867, 37500, 40965, 50341, 65535,
)  # fmt: skip


def draw_tiff(draw: Random) -> bytes:
    """Directories of a TIFF or of EXIF: any tags, types and counts, offsets that lie, directories in circles."""
    order = draw.choice("<>")
    side = draw.choice((4, 65535, 0)) if draw.randrange(6) == 0 else 8
    coding = draw.choice((5, 7, 8, 32773, 34712, 50000, 65000)) if draw.randrange(3) == 0 else 1
    usual = {256: side, 257: side, 258: 8, 259: coding, 262: draw.choice((0, 1, 1, 6)), 273: 8,
             277: draw.choice((3, 65535)) if draw.randrange(8) == 0 else 1, 278: side, 279: side * side}  # fmt: skip
    magic = 42 if draw.randrange(12) else 43
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", magic, 200))
    data += draw.randbytes(192)
    for _ in range(draw.choice((1, 1, 2, 300 if draw.randrange(6) == 0 else 3))):
        entries = [(tag, 3 if value < 65536 else 4, 1, value) for tag, value in usual.items() if draw.randrange(50)]
        for _ in range(draw.choice((0, 1, 1, 2, 5))):
            count = draw.choice((0, 1, 2, 4, 100, 2**31, 2**32 - 1) if draw.randrange(3) == 0 else (1, 2, 4))
            value = draw.choice((0, 1, 8, 200, len(data), 2**31, 2**32 - 1))
            entries.append((draw.choice(TAGS), draw.choice((1, 2, 3, 4, 5, 7, 9, 10, 12, 13, 16, 99)), count, value))
        if draw.randrange(8):
            entries.sort()
        data += struct.pack(order + "H", len(entries) if draw.randrange(12) else 65535)
        for tag, kind, count, value in entries:
            small = kind == 3 and count == 1 and value < 65536
            data += struct.pack(order + "HHI", tag, kind, count)
            data += struct.pack(order + ("HH" if small else "I"), *((value, 0) if small else (value,)))
        following = (len(data) + 4, 0, 200, 2**32 - 1)[0 if draw.randrange(3) else draw.randrange(1, 4)]
        data += struct.pack(order + "I", following)
    return bytes(data)


def draw_xmp(draw: Random) -> bytes:
    """A packet that this program, or someone else, might have written."""
    own, rdf = "urn:visagist:xmp:1.0/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    text = draw.choice(("Smiling=1", "&lt;b&gt;", "a" * 10_000, "&#27;[2J&#155;31m", "line&#10;line", "&e;", "&#x202e;gnp"))
    step = f"<rdf:li rdf:parseType='Resource'><v:action>{text}</v:action><v:model>{text}</v:model></rdf:li>"
    steps = step * draw.choice((0, 1, 2, 500 if draw.randrange(6) == 0 else 3))
    deep = draw.choice((0, 0, 0, 50, 3000))
    before = draw.choice(
        ("", "", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file://{secret}'>]>",
         "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY e '" + "&a;" * 1000 + "'>]>")
    )  # fmt: skip
    body = (
        f"{before}<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{rdf}'><rdf:Description rdf:about='' "
        f"xmlns:v='{own}' xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' e:DigitalSourceType='{text}'>"
        f"<v:History><rdf:Seq>{steps}</rdf:Seq></v:History>{'<a>' * deep}{'</a>' * deep}</rdf:Description>"
        "</rdf:RDF></x:xmpmeta>"
    )
    data = body.encode(draw.choice(("utf-8", "utf-8", "utf-16", "utf-32")))
    return damage_bytes(draw, data) if draw.randrange(4) == 0 else data


def own_xmp(draw: Random, ground: Ground) -> bytes:
    """The packet of an edited picture, with other words in it."""
    data = (ground.templates / "packet.xmp").read_bytes()
    words = (b"Smiling=1", b"edited", b"render", b"run")
    hostile = (b"&#27;]0;x&#7;", b"\xc2\x9b31m", b"<![CDATA[\x1b[2J]]>", b"a" * 100_000, b"&#10;error: x", b"", b"<v/>")
    new = draw.choice(hostile)
    data = data.replace(draw.choice(words), new)
    return damage_bytes(draw, data) if draw.randrange(5) == 0 else data


def build_inspected(draw: Random, ground: Ground) -> list[str]:
    """A picture with a hostile packet, for `visagist inspect`."""
    from photo_seeds import seeds

    packet = own_xmp(draw, ground) if draw.randrange(2) else draw_xmp(draw)
    packet = packet.replace(b"{secret}", str(ground.secret / "canary.txt").encode())
    kind = draw.choice(("png", "jpg", "gif"))
    if kind == "png":
        data = seeds()["png"][0]
        data = data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + data[33:]
    elif kind == "jpg":
        data, packet = seed_jpegs()[0], packet[:65000]
        part = b"http://ns.adobe.com/xap/1.0/\0" + packet
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + data[2:]
    else:
        data = seeds()["gif"][0]
        data = data[:-1] + b"!\xff\x0bXMP DataXMP" + packet + bytes([1, *range(255, -1, -1), 0]) + b";"
    path = ground.given / f"picture.{kind}"
    path.write_bytes(data)
    return ["inspect", str(path), *draw.choice(([], ["--json"]))]


def use_inspected(ground: Ground, arguments: list[str]) -> None:
    readers.run_command(*arguments)


def build_with(make: Any, suffix: str) -> Any:
    def build(draw: Random, ground: Ground) -> str:
        path = ground.given / f"photo{suffix}"
        path.write_bytes(make(draw).replace(b"{secret}", str(ground.secret / "canary.txt").encode()))
        return str(path)

    return build


def build_mutated(draw: Random, ground: Ground) -> str:
    from photo_mutations import mutated

    path = ground.given / "photo.png"
    path.write_bytes(mutated(draw.randrange(10**9))[1])
    return str(path)


def use_photo(ground: Ground, path: str) -> None:
    with open(path, "rb") as file:
        data = file.read()
    readers.read_photo_bytes(data, ".png")


GRAMMARS = (
    Grammar("photo", build_mutated, use_photo),
    Grammar("png", build_with(draw_png, ".png"), use_photo),
    Grammar("jpeg", build_with(draw_jpeg, ".jpg"), use_photo),
    Grammar("gif", build_with(draw_gif, ".gif"), use_photo),
    Grammar("tiff", build_with(draw_tiff, ".tif"), use_photo),
    Grammar("xmp", build_inspected, use_inspected),
)
