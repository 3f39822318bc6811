"""Grammars of the command line: every command with options of a wrong kind, and the table that a batch goes on with."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from hostile import readers
from hostile.damage import CONTROLS, damage_bytes, damage_json
from hostile.ground import Grammar, Ground
from hostile.models import EDIT, use_command

WORDS = (
    "", " ", "-", "--", "..", "/", ".", "nan", "inf", "-1", "0", "1.5", "1e999", "99999999999", "9" * 400, "x" * 300,
    "x" * 5000, "a,b,,", ",", "=", "Smiling", "Smiling=1", "Smiling=nan", "Smiling=1,Smiling=2", "Nobody=1", "*", "[", "~",
    "Smiling,Smiling", CONTROLS, "🙂", "\udcff", "http://127.0.0.1:9/x", "file:///etc/passwd", "hub:", "hub:..", "cuda:7",
    "judge-64", "judge-64/..",
    "missing", "missing/deep/er.png", "none", "None", "true", "{", "0,0", "1,2,3,4", "auto", "synthetic:-1", "synthetic:x",
)  # fmt: skip
SOURCES = ("folder", "pack", "parquet", "celeba", "cifar10", "synthetic", "nothing", "")
ENTRIES = ("folder", "empty", "binary.png", "binary.json", "text.csv", "fifo", "pictures", "pictures/0.png", "link")
STARTS_PROCESSES = ("--devices", "--detectors", "--jobs")  # which is what they are for


def list_commands() -> dict[str, Any]:
    """The commands of the program by their words, but for those that start a server, which is what they are for."""
    return {name: command for name, command in _walk(readers.command_line(), ()) if name not in ("serve", "studio")}


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _walk(below, (*words, name))
    else:
        yield " ".join(words), command


def lay_entries(draw: Random, ground: Ground) -> None:
    """A file, or none, of every kind that an option may be given."""
    given = ground.given
    (given / "folder").mkdir()
    (given / "empty").touch()
    for name in ("binary.png", "binary.json"):
        (given / name).write_bytes(draw.randbytes(3000))
    (given / "text.csv").write_text("a,b\n1,2\n")
    os.mkfifo(given / "fifo")
    (given / "link").symlink_to("nowhere")
    (given / "pictures").mkdir()
    for number in range(2):
        shutil.copyfile(ground.templates / f"face-{number}.png", given / "pictures" / f"{number}.png")


def sound_arguments(ground: Ground) -> dict[str, list[str]]:
    """What each command does in a second; commands that are not here get their required arguments made up."""
    model, out, face = str(ground.out / "model"), str(ground.out / "results"), str(ground.given / "pictures" / "0.png")
    other = str(ground.given / "pictures" / "1.png")
    data, few = ["--data", f"pack:{ground.templates / 'pack'}"], ["--limit", "4"]
    measured = [*data, "--out", out, "--device", "cpu"]
    return {
        "train": readers.train_arguments(Path(out), images=8, data="synthetic:20")[1:],
        "profile": [readers.METHOD, "--data", "synthetic:20", "--steps", "1", "--device", "cpu", *readers.SETTINGS],
        "edit": [model, face, *EDIT, f"{out}.png"],
        "bulk": [str(ground.given / "pictures"), "--model", model, *EDIT, out],
        "sample": [model, "--out", f"{out}.png", "--number", "2"],
        "interpolate": [model, face, other, "--out", f"{out}.png", "--steps", "3"],
        "traverse": [model, face, "--out", f"{out}.png", "--steps", "3"],
        "walk": [model, face, "--out", f"{out}.png", "--steps", "2"],
        "map": [model, *measured, "--number", "4"],
        "evaluate": [model, *measured, *few],
        "compare": [model, *measured, *few],
        "directions": [model, *measured, *few, "--train", "8"],
        "correlations": [model, *measured, *few, "--set", "Smiling=1"],
        "vectors": [model, *data, "--number", "4", "--device", "cpu"],
        "factor": [model, *measured],
        "landmarks": [model, *measured, *few],
        "recognise": [model, *measured, *few, "--train", "8"],
        "calibrate": [model, *data, "--number", "4", "--device", "cpu"],
        "reproduce": ["--list"],
        "bench": ["nobody", "--out", out, "--images", "8"],
        "demo": ["--model", model, "--out", out],
        "inspect": [face],
        "data check": ["synthetic:20", "--image-size", "16"],
        "data pack": ["synthetic:20", "--out", out, "--image-size", "16"],
    }


def build_options(draw: Random, ground: Ground) -> list[str]:
    ground.out.mkdir()
    lay_entries(draw, ground)
    shutil.copytree(ground.templates / "run" / "best", ground.out / "model")
    name, command = draw.choice(sorted(list_commands().items()))
    arguments = sound_arguments(ground).get(name, [])
    if draw.randrange(4) == 0 and arguments:  # what stands in the place of an argument
        arguments[draw.randrange(min(2, len(arguments)))] = draw_word(draw, ground)
    options = [p for p in command.params if p.param_type_name == "option" and p.opts[0] not in (*STARTS_PROCESSES, "--help")]
    for option in draw.sample(options, min(len(options), draw.choice((1, 1, 2)))):
        if getattr(option, "is_flag", False):
            arguments.append(draw.choice((*option.opts, *option.secondary_opts)))
        else:
            arguments = without(arguments, option.opts) if draw.randrange(4) else arguments
            arguments += [draw.choice(option.opts), draw_word(draw, ground)]
    return [*name.split(), *arguments]


def draw_word(draw: Random, ground: Ground) -> str:
    action = draw.randrange(6)
    if action < 3:
        return draw.choice(WORDS)
    entry = draw.choice((*ENTRIES, "../secret/canary.txt"))
    if action == 3:
        return f"{draw.choice(SOURCES)}:{entry}"
    return entry if draw.randrange(2) else str(ground.given / entry)


def without(arguments: list[str], names: list[str]) -> list[str]:
    """The arguments but for an option and its value."""
    at = next((index for index, argument in enumerate(arguments) if argument in names), None)
    return arguments if at is None else arguments[:at] + arguments[at + 2 :]


def build_table(draw: Random, ground: Ground) -> list[str]:
    """A folder of a batch, whose table was changed since, and the batch again."""
    pictures, out = ground.given / "pictures", ground.out / "results"
    shutil.copytree(ground.templates / "photographs", pictures)
    shutil.copytree(ground.templates / "batch", out)
    arguments = ["edit", str(ground.templates / "run"), str(pictures), "--set", "Smiling=1", "--out", str(out)]
    path = out / "edits.csv"
    text = path.read_text().replace(str(ground.templates / "batch"), str(out))
    path.write_text(text.replace(str(ground.templates / "photographs"), str(pictures)))
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    action = draw.randrange(4)
    if action == 0:
        path.write_bytes(damage_bytes(draw, path.read_bytes()))
        return arguments
    odd = (CONTROLS, "", "../../secret/face.png", "9" * 400, "nul\0", "[" * 100_000, "x" * 200_000, "null", "[]", '"', "\r")
    for row in draw.sample(rows, draw.randint(1, len(rows))):
        column = draw.choice(("settings", "settings", "sha256", "out", "file", draw.choice(list(row))))
        if column == "settings" and draw.randrange(2):
            row[column] = damage_json(draw, {"model": "run", "set": {"Smiling": 1.0}}).decode(errors="replace")
        else:
            row[column] = draw.choice(odd)
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        names = list(rows[0])
        if action == 1:
            names = draw.sample(names, draw.randint(1, len(names)))
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows * draw.choice((1, 1, 500)))
    return arguments


GRAMMARS = (
    Grammar("options", build_options, use_command, secrets=False, adds=True),
    Grammar("table", build_table, use_command),
)
