"""All that the campaign knows of visagist: its public functions, its command, and the readers that neither shows."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import shutil
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.main import get_command

import visagist
from visagist import cli
from visagist.bulk.shards import find_shards
from visagist.checkpoints.states import read_state
from visagist.errors import VisagistError
from visagist.photos.encode import encode_photo
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step

SUPPORT = Path(__file__).resolve().parents[2] / "tests" / "support"
sys.path.append(str(SUPPORT))
REFUSALS = (VisagistError,)
TINY = {"image_size": 16, "width": 4, "batch_size": 8, "latent": 8, "discriminator_width": 4, "auxiliary_hidden": 8}
SETTINGS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
METHOD = "ifcvae-gan"


def run_command(*arguments: object) -> None:
    """The command as a person runs it; raises SystemExit."""
    cli.main([str(argument) for argument in arguments])


def train_arguments(out: Path, images: int = 32, data: str = "synthetic:40") -> list[str]:
    """A training of a few steps on drawn faces, saved after each step."""
    chosen = ["train", METHOD, "--data", data, "--out", str(out), "--images", str(images), "--device", "cpu"]
    return [*chosen, "--attributes", "Smiling", *SETTINGS, "--set", "checkpoint_seconds=0", "--no-calibrate"]


@lru_cache(maxsize=1)
def command_line() -> Any:
    """The parsed commands of the program."""
    return get_command(cli.make_app())


def read_photo_bytes(data: bytes, suffix: str = ".png") -> None:
    """Read a photograph, show it and write it again."""
    photo = read_photo(data, "photo")
    photo.view()
    encode_photo(photo, suffix, Step("edited"))


def load_editor(folder: Path) -> None:
    """A model that is opened and edits a face."""
    editor = visagist.Editor.from_pretrained(folder, "cpu")
    face = np.zeros((1, editor.image_size, editor.image_size, 3), np.uint8)
    editor.edit(face, **{name: 1.0 for name in editor.attributes[:2]})


def load_faces(source: str, cache: Path, image_size: int = 16) -> None:
    """All faces of a source."""
    faces = visagist.load_data(source, image_size=image_size, cache=cache)
    np.asarray(faces.images[:64]).sum()


def read_samples(path: Path) -> None:
    """Every sample of a shard, as bulk editing reads it."""
    for shard in find_shards([str(path)]):
        shard.count()
        for _ in shard.samples():
            pass


def read_training_state(folder: Path) -> None:
    """What resuming reads."""
    read_state(folder)


def make_templates(folder: Path) -> None:
    """Sound files of every kind, for grammars to begin with: a trained model, a pack, a clip, pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    quietly(*train_arguments(folder / "run"))
    quietly("data", "pack", "synthetic:40", "--out", folder / "pack", "--image-size", "16")
    draw = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"face-{number}.png")
    shutil.copyfile(folder / "face-0.png", folder / "face.png")
    quietly("edit", folder / "run", folder / "face.png", "--aligned", "--set", "Smiling=1", "--out", folder / "edited.png")
    photo = read_photo(folder / "edited.png")
    (folder / "packet.xmp").write_bytes(photo.metadata.xmp)
    for name in ("clip.mp4", "clip.mkv"):
        _write_clip(folder / name)


def prepare_parent() -> None:
    """Make once what every child would make anew: the parsed command line, the small photographs."""
    import photo_mutations

    platform.processor()  # asks another program, once
    command_line()
    for number in range(200):
        photo_mutations.mutated(number)


def warm_everything(folder: Path) -> None:
    """Call each reader and command once, so that what they import is known."""
    make_templates(folder)
    load_editor(folder / "run" / "best")
    load_faces(f"pack:{folder / 'pack'}", folder / "cache")
    table = folder / "folder"
    table.mkdir()
    for number in range(4):
        shutil.copyfile(folder / f"face-{number}.png", table / f"{number}.png")
    (table / "labels.csv").write_text("file,Smiling\n" + "".join(f"{number}.png,{number % 2}\n" for number in range(4)))
    load_faces(f"folder:{table}", folder / "cache")
    model = folder / "run"
    edit = ("--aligned", "--set", "Smiling=1", "--out")
    quietly("bulk", table, "--model", model, *edit, folder / "bulk")
    quietly("edit", model, table, *edit, folder / "edits")
    for name in ("edited.png", "clip.mp4", "clip.mkv", "run/best"):
        quietly("inspect", folder / name)
    for arguments in (
        ("edit", model, folder / "clip.mp4", "--set", "Smiling=1", "--out", folder / "film.mp4"),
        ("reproduce", "--summary", "--out", folder),
        ("data", "check", f"folder:{table}", "--image-size", "16"),
        ("edit", model, _photograph(folder), "--set", "Smiling=1", "--out", folder / "photograph.jpg"),
    ):
        with contextlib.suppress(SystemExit):
            run_command(*arguments)
    photographs = folder / "photographs"
    photographs.mkdir()
    for number in range(2):
        shutil.copyfile(folder / "photograph.jpg", photographs / f"{number}.jpg")
    quietly("edit", model, photographs, "--set", "Smiling=1", "--out", folder / "batch")
    for kind in ("train", "evaluate"):
        with contextlib.suppress(SystemExit):
            run_command(kind, "--help")
    quietly(*train_arguments(folder / "run", images=48), "--resume")


def _photograph(folder: Path) -> Path:
    """The portrait on a larger ground, in which a face is looked for."""
    from photo_seeds import portrait

    picture = Image.new("RGB", (320, 280), (90, 120, 160))
    picture.paste(portrait(240), (40, 40))
    picture.save(folder / "photograph.jpg")
    return folder / "photograph.jpg"


def _write_clip(path: Path) -> None:
    import av

    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        made.metadata["comment"] = "a clip"
        for number in range(3):
            pixels = np.full((32, 32, 3), 60 * number, np.uint8)
            made.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(stream.encode())


def quietly(*arguments: object) -> None:
    """A command that must be right."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            run_command(*arguments)
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"visagist {' '.join(map(str, arguments))} ended with status {ended.code}") from None


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
