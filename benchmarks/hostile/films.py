"""Grammars of videos, also of texts that a demuxer takes for one, and of what stands where results are to go."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from random import Random

from hostile import readers
from hostile.damage import CONTROLS, damage_bytes
from hostile.ground import Grammar, Ground
from hostile.models import EDIT, use_command
from hostile.pictures import draw_xmp, own_xmp

SUFFIXES = (".mp4", ".mkv", ".mov", ".m4v", ".webm")
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def draw_playlist(draw: Random, ground: Ground) -> bytes:
    """A text that makes a demuxer open other files."""
    (ground.given / "beside").symlink_to(ground.secret, target_is_directory=True)  # a name that no check of paths refuses
    names = ("../secret/clip.mp4", "beside/clip.mp4", "beside/clip.mp4", str(ground.secret / "clip.mp4"))
    clip = draw.choice((*names, f"file:{ground.secret / 'clip.mp4'}"))
    return draw.choice(
        (
            f"ffconcat version 1.0\nfile '{clip}'\n",
            f"ffconcat version 1.0\nfile {clip}\noption safe 0\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
            f"#EXTM3U\n#EXT-X-MAP:URI=\"{clip}\"\n#EXTINF:1,\n{clip}\n",
            f"concat:{clip}|{clip}",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n",
            f"[playlist]\nFile1={clip}\n",
            f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period><AdaptationSet>"
            f"<Representation id='1'><BaseURL>{clip}</BaseURL></Representation></AdaptationSet></Period></MPD>",
            f";FFMETADATA1\ntitle={CONTROLS}\n",
            "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.mp4\n",
            "WEBVTT\n\n00:00.000 --> 00:01.000\nx\n",
        )
    ).encode()  # fmt: skip


def draw_boxes(draw: Random, ground: Ground, data: bytes) -> bytes:
    """An MP4 with outermost boxes that are doubled, lie of their size, or hold a packet."""
    packet = own_xmp(draw, ground) if draw.randrange(2) else draw_xmp(draw)
    boxes = []
    for _ in range(draw.randint(1, 3)):
        content = draw.choice((b"uuid" + XMP_BOX + packet, b"free" + bytes(20), b"moov", b"udta" + draw.randbytes(30)))
        size = draw.choice((4 + len(content), 4 + len(content), 0, 1, 7, 8, 2**31, 2**32 - 1))
        boxes.append(struct.pack(">I", size) + (struct.pack(">Q", 2**63) if draw.randrange(9) == 0 else b"") + content)
    return b"".join(boxes) + data if draw.randrange(5) == 0 else data + b"".join(boxes)


def write_film(draw: Random, ground: Ground) -> Path:
    path = ground.given / f"film{draw.choice(SUFFIXES)}"
    data = (ground.templates / draw.choice(("clip.mp4", "clip.mp4", "clip.mkv"))).read_bytes()
    action = draw.randrange(4)
    if action == 0:
        path.write_bytes(draw_playlist(draw, ground))
    elif action == 1:
        path.write_bytes(draw_boxes(draw, ground, data))
    else:
        path.write_bytes(damage_bytes(draw, data))
    return path


def build_inspected(draw: Random, ground: Ground) -> list[str]:
    return ["inspect", str(write_film(draw, ground)), *draw.choice(([], ["--json"]))]


def build_edited(draw: Random, ground: Ground) -> list[str]:
    ground.out.mkdir()
    film = write_film(draw, ground)
    out = ground.out / f"film{draw.choice(SUFFIXES)}"
    return ["edit", str(ground.templates / "run"), str(film), "--set", "Smiling=1", "--device", "cpu", "--out", str(out)]


def lay_strangers(draw: Random, out: Path, ground: Ground) -> None:
    """Files of somebody else in and beside the folder of results, some of them called much like our own."""
    out.mkdir(parents=True, exist_ok=True)
    names = (
        "kept-thesis.doc", "kept-folder/photo.jpg", ".kept-hidden", "kept-last/config.json", "kept-images-000000001/a.txt",
        "samples/kept.png", ".bulk/kept.json", "last/kept.txt", "best/kept.txt", ".last.previous/kept.txt", "kept.writing",
        ".last.writing-1/kept.txt", "tensorboard/kept.txt", "claims/kept", "cache/kept", ".kept.writing-7",
    )  # fmt: skip
    for name in draw.sample(names, draw.randint(1, 5)):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody's own")


def build_outputs(draw: Random, ground: Ground) -> list[str]:
    """A command, and --out where somebody's files, links, pipes or inputs are."""
    pictures = ground.given / "pictures"
    pictures.mkdir()
    for number in range(2):
        shutil.copyfile(ground.templates / f"face-{number}.png", pictures / f"{number}.png")
    model, out = ground.templates / "run", ground.out / "results"
    state = draw.randrange(9)
    ground.out.mkdir()
    if state in (0, 1, 2, 3):
        lay_strangers(draw, out, ground)
    elif state == 4:  # a link that the person gives as --out is followed: files are added, none is lost
        out.symlink_to(ground.secret, target_is_directory=True)
    elif state == 5:
        out.mkdir()
        target = draw.choice((ground.secret / "canary.txt", ground.secret / "absent.txt", ground.secret))
        names = (
            "edits.csv", "0.png", ".lock", "last", "best", "log.jsonl", "manifest.json", "labels.npz", ".bulk", "images.bin",
            "summary.json", "photos-000000.edits.jsonl", "samples", "tensorboard",
        )  # fmt: skip
        name = draw.choice(names)
        (out / name).symlink_to(target)
    elif state == 6:
        out.mkdir()
        os.mkfifo(out / draw.choice(("edits.csv", "0.png", ".lock", "log.jsonl", "manifest.json", "summary.json")))
    elif state == 7:
        out = draw.choice((pictures, ground.given, pictures / "0.png", ground.folder / "secret"))
    else:
        out = ground.out / draw.choice(("a" * 300, "new/deep/er", "x\ny"))
    commands = (
        ["edit", model, pictures, *EDIT, out],
        ["edit", model, pictures, *EDIT, out, "--overwrite"],
        ["edit", model, pictures / "0.png", *EDIT, out / "0.png"],
        ["bulk", pictures, "--model", model, *EDIT, out],
        ["data", "pack", f"folder:{write_labels(pictures)}", "--out", out, "--image-size", "16"],
        ["data", "pack", "synthetic:20", "--out", out, "--image-size", "16"],
        readers.train_arguments(out, images=16),
        [*readers.train_arguments(out, images=16), "--resume"],
        ["demo", "--out", out, "--model", model],
    )
    return [str(part) for part in draw.choice(commands)]


def write_labels(pictures: Path) -> Path:
    (pictures / "labels.csv").write_text("file,Smiling\n0.png,0\n1.png,1\n")
    return pictures


GRAMMARS = (
    Grammar("film", build_inspected, use_command),
    Grammar("film-edit", build_edited, use_command),
    Grammar("outputs", build_outputs, use_command, secrets=False, kept="kept", adds=True),
)
