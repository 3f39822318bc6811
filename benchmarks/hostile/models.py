"""Grammars of what visagist wrote once and a stranger may have changed: models, states, packs, ledgers, reports."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path
from random import Random
from typing import Any

from hostile import readers
from hostile.damage import WORDS, damage_bytes, damage_json, damage_value, draw_value
from hostile.ground import Grammar, Ground

DTYPES = ("F32", "F16", "BF16", "F64", "I64", "I8", "U8", "BOOL", "F8_E4M3", "C64", "X9", "")
EDIT = ("--aligned", "--set", "Smiling=1", "--out")


def copy_model(ground: Ground) -> Path:
    shutil.copytree(ground.templates / "run" / "best", ground.given / "model")
    return ground.given / "model"


def seal_weights(folder: Path) -> None:
    """Let config.json name the weights that are there, so that they are read."""
    config = readers.read_json(folder / "config.json")
    config["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


def build_config(draw: Random, ground: Ground) -> None:
    path = copy_model(ground) / "config.json"
    described = readers.read_json(path)
    if draw.randrange(2):  # the parts that a model is built of, rather than its remarks
        key = draw.choice([k for k in ("config", "attributes", "image_size", "strength", "name", "kind") if k in described])
        described[key] = damage_value(draw, described[key])
        path.write_text(json.dumps(described))
    else:
        path.write_bytes(damage_json(draw, described))


def use_model(ground: Ground, _: Any) -> None:
    readers.load_editor(ground.given / "model")


def inspect_model(ground: Ground, _: Any) -> None:
    readers.run_command("inspect", ground.given / "model")


def build_weights(draw: Random, ground: Ground) -> None:
    folder = copy_model(ground)
    path = folder / "model.safetensors"
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    action = draw.randrange(5)
    if action == 0:
        path.write_bytes(damage_bytes(draw, data))
    elif action == 1:
        said = draw.choice((0, 1, length - 1, length + 8, 2**32, 2**63, 2**64 - 1))
        path.write_bytes(struct.pack("<Q", said) + data[8:])
    else:
        names = [name for name in header if name != "__metadata__"]
        for name in draw.sample(names, draw.randint(1, 3)):
            damage_tensor(draw, header, name, len(tensors))
        if draw.randrange(4) == 0:
            header["__metadata__"] = draw_value(draw)
        text = damage_json(draw, header) if action == 2 else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    if draw.randrange(8):
        seal_weights(folder)


def damage_tensor(draw: Random, header: dict[str, Any], name: str, size: int) -> None:
    said = header[name]
    action = draw.randrange(6)
    if action == 0:
        said["dtype"] = draw.choice(DTYPES)
    elif action == 1:
        said["shape"] = draw.choice(([], [0], [2**62, 4], [-1], [1] * 70, [*said["shape"], 1], said["shape"][::-1]))
    elif action == 2:
        said["data_offsets"] = draw.choice(([0, size], [0, 0], [size, 0], [0, 2**64], [-8, 0], [1, 5]))
    elif action == 3:
        header[draw.choice(WORDS)] = header.pop(name)
    elif action == 4:
        del header[name]
    else:
        header[name] = draw_value(draw)


def build_state(draw: Random, ground: Ground) -> list[str]:
    run = ground.out / "run"
    shutil.copytree(ground.templates / "run", run)
    last = run / "last"
    if draw.randrange(4):
        facts = readers.read_json(last / "training_state.json")
        part = draw.choice(("optimizers", "progress", "shadow_updates"))
        if draw.randrange(2):
            facts[part] = damage_value(draw, facts[part])
            (last / "training_state.json").write_text(json.dumps(facts))
        else:
            (last / "training_state.json").write_bytes(damage_json(draw, facts))
    else:
        path = last / draw.choice(("config.json", "training_state.safetensors", "model.safetensors"))
        path.write_bytes(damage_bytes(draw, path.read_bytes()))
    if draw.randrange(3) == 0:
        log = run / "log.jsonl"
        log.write_bytes(damage_bytes(draw, log.read_bytes()) if draw.randrange(2) else damage_json(draw, draw_value(draw)))
    return [*readers.train_arguments(run, images=40), "--resume"]


def use_command(ground: Ground, arguments: list[str]) -> None:
    readers.run_command(*arguments)


def build_pack(draw: Random, ground: Ground) -> None:
    pack = ground.given / "pack"
    shutil.copytree(ground.templates / "pack", pack)
    name = draw.choice(("manifest.json", "manifest.json", "manifest.json", "labels.npz", "skipped.json", "images.bin"))
    path = pack / name
    if name == "manifest.json":
        manifest = readers.read_json(path)
        manifest.pop("checksum", None)
        manifest = damage_value(draw, manifest)
        if isinstance(manifest, dict) and draw.randrange(6):
            manifest["checksum"] = manifest_checksum(manifest)
            path.write_text(json.dumps(manifest))
        else:
            path.write_bytes(damage_json(draw, manifest))
    elif name == "skipped.json":
        path.write_bytes(damage_json(draw, draw.choice(([["a.png", "unreadable"]], [], {}))))
    else:
        path.write_bytes(damage_bytes(draw, path.read_bytes()))
        seal_pack(pack)


def manifest_checksum(manifest: dict[str, Any]) -> str:
    """As packs have it: a stranger can work it out as well as we."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def seal_pack(pack: Path) -> None:
    manifest = readers.read_json(pack / "manifest.json")
    manifest.pop("checksum", None)
    for name, key in (("labels.npz", "labels"), ("images.bin", "images")):
        data = (pack / name).read_bytes()
        manifest[key]["sha256"] = hashlib.sha256(data).hexdigest()
        if "bytes" in manifest[key]:
            manifest[key]["bytes"] = len(data)
    manifest["checksum"] = manifest_checksum(manifest)
    (pack / "manifest.json").write_text(json.dumps(manifest))


def use_pack(ground: Ground, _: Any) -> None:
    readers.load_faces(f"pack:{ground.given / 'pack'}", ground.out / "cache")


def build_ledger(draw: Random, ground: Ground) -> list[str]:
    """A folder of bulk's results, begun and then changed."""
    pictures = ground.given / "pictures"
    pictures.mkdir()
    for number in range(2):
        shutil.copyfile(ground.templates / f"face-{number}.png", pictures / f"{number}.png")
    arguments = ["bulk", str(pictures), "--model", str(ground.templates / "run"), *EDIT, str(ground.out)]
    readers.quietly(*arguments)
    files = sorted(path for path in ground.out.rglob("*.json*") if path.is_file())
    for path in draw.sample(files, draw.randint(1, min(2, len(files)))):
        data = path.read_bytes()
        try:
            value = json.loads(data)
        except ValueError:
            value = {}
        path.write_bytes(damage_json(draw, value))
    if draw.randrange(3) == 0:
        folder = ground.out / ".bulk" / draw.choice(("failed", "progress", "done"))
        folder.mkdir(parents=True, exist_ok=True)
        name = draw.choice(("photos-000000", "x"))
        (folder / f"{name}.json").write_bytes(damage_json(draw, {"reason": "x", "shard": name}))
    return arguments


def build_report(draw: Random, ground: Ground) -> list[str]:
    """A verdicts.json and metrics.json beside it, as `reproduce --summary` reads them."""
    cell = {"row": "r", "key": "edit.Smiling.success_1", "published": 0.9, "verdict": "reached", "compared": "reached",
            "ours": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}}  # fmt: skip
    row = {"label": "r", "images": 100, "judged_faces": 100, "run": "a"}
    entry = {"name": "ifcvae-gan/table3", "scale": "smoke", "seed": 0, "seconds": 1.0, "rows": [row], "cells": [cell]}
    whole = {"schema_version": 1, "reproductions": [entry]}
    (ground.given / "verdicts.json").write_bytes(damage_json(draw, whole))
    metric = {"metrics": {"a": {"value": 1.0, "low": 0, "high": 1, "n": 5}}, "manifest": {}, "schema_version": 1}
    (ground.given / "metrics.json").write_bytes(damage_json(draw, metric))
    return ["reproduce", "--summary", "--out", str(ground.given)]


GRAMMARS = (
    Grammar("config", build_config, use_model),
    Grammar("inspect-config", build_config, inspect_model),
    Grammar("safetensors", build_weights, use_model),
    Grammar("training-state", build_state, use_command),
    Grammar("pack", build_pack, use_pack),
    Grammar("ledger", build_ledger, use_command),
    Grammar("report", build_report, use_command),
)
