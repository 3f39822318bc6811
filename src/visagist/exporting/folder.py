"""`visagist export`: a model's graphs beside its weights, with all that a program without visagist needs to use them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from torch import Tensor

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.data.crops import template
from visagist.data.faces import Faces
from visagist.editing.changes.masks import CORNERS, FEATHER
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.onnx import OnnxEmbedder
from visagist.exporting.checks import compare_with_torch, judge_limit, source_of
from visagist.exporting.modules import Part, finder_parts, judge_parts, landmark_parts, method_parts
from visagist.exporting.repainting import refiner_parts
from visagist.exporting.tracing import WeightFile, link, trace
from visagist.faces import finder, landmarks
from visagist.faces.finder_training import FaceFinder
from visagist.faces.landmark_training import LandmarkFinder
from visagist.judges import judge
from visagist.judges.attribute import AttributeJudge
from visagist.latent.onnx_backend import OnnxBackend
from visagist.methods.base import Method, Trainable
from visagist.methods.families.stepwise import StepwiseMethod
from visagist.progress import ProgressLike, progress_of
from visagist.refining import load as refining
from visagist.refining.refiner import Refiner
from visagist.version import __version__

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
FACES = 200  # that torch and the graphs are compared on


class Source(NamedTuple):
    """A model to be exported: its parts, its card's facts, and the editor over it where it edits."""

    name: str
    model: Trainable
    description: dict[str, Any]
    parts: dict[str, Part]
    card: str | None
    editor: Editor | None


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the folder, by graph the largest difference to torch, how many bytes there are, and more."""

    folder: Path
    differences: dict[str, float]
    size: int
    facts: dict[str, Any] = field(default_factory=dict)


def open_source(name: str | Path) -> Source:
    """The model of a zoo name or folder: a method, a judge, the landmark network, a finder or a refiner."""
    kinds = (kind for kind in ("judge", "landmarks", "finder", "refiner") if pretrained.holds_kind(name, kind))
    kind = next(kinds, "method")
    if kind == "method":
        editor = Editor.from_pretrained(name, "cpu", refiner=None, backend="torch")
        method = cast(Any, editor.backend)
        _lay_out_plainly(method.method)
        parts = method_parts(method.method, editor.strength_maps, method.trained_method)
        return Source(editor.name, method.trained_method, editor.description, parts, editor.card, editor)
    lookups = {
        "judge": judge.lookup, "landmarks": landmarks.lookup, "finder": finder.lookup, "refiner": refining.lookup
    }  # fmt: skip
    found = pretrained.find_model(name, kind)
    model, description = checkpoint.load_model(found.folder, lookups[kind], kind=kind)
    card = found.folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.exists() else None
    return Source(found.name, model, description, _other_parts(model), text, None)


def _other_parts(model: Trainable) -> dict[str, Part]:
    if isinstance(model, AttributeJudge):
        return judge_parts(model)
    if isinstance(model, Refiner):
        return refiner_parts(model)
    return landmark_parts(model) if isinstance(model, LandmarkFinder) else finder_parts(cast(FaceFinder, model))


def _lay_out_plainly(method: Method) -> None:
    import torch

    method.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def export_onnx(
    name: str | Path, out: Path, precision: Precision = "fp32", faces: Faces | None = None, *,
    identity: str | Path | None = None, progress: ProgressLike = None,
) -> Exported:
    """Write a model's graphs, weights, `config.json` and card into a folder that holds nothing else.

    `faces` are those that graphs and torch are compared on and int8 is quantised by; drawn ones without them. `identity` is
    a face embedder as ONNX, for what int8 loses of it. VisagistError where a graph and torch
    differ by more than the precision allows, and nothing is written then.
    """
    source = open_source(name)
    checkpoint.check_savable(out)
    if precision == "int8":
        return _export_int8(source, out, faces, identity, progress)
    with progress_of(progress) as bar, tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        weights = checkpoint.inference_weights(source.model, precision == "fp16")
        checkpoint.write_tensors(fresh / "model.safetensors", weights)
        graphs = write_graphs(source, fresh, weights)
        bar.message(f"{source.name}: {', '.join(graphs)}")
        differences = compare_with_torch(source.parts, fresh, faces, FACES, relative=precision == "fp16")
        refuse_difference(differences, judge_limit(precision))
        description = describe_export(source, precision, graphs, differences)
        extra: dict[str, str | bytes] = {**graphs, "README.md": card_of(source, description)}
        checkpoint.save_model(out.resolve(), description, weights, extra=extra)
    return Exported(out, differences, sum(path.stat().st_size for path in out.iterdir()))


def _export_int8(
    source: Source, out: Path, faces: Faces | None, identity: str | Path | None, progress: ProgressLike
) -> Exported:
    """Write quantised graphs, each with its own weights, and what they lose.

    A model that loses too much is quantised anew with more of its outer layers left whole; what it still loses is said.
    """
    from visagist.exporting.quantising import ENDS, losses_of, quantise

    embedder = None if identity is None else OnnxEmbedder(identity)
    with progress_of(progress) as bar, tempfile.TemporaryDirectory() as scratch:
        fresh, facts = Path(scratch), dict[str, Any]()
        for whole_ends in range(1 if "prepare" in source.parts else 0, len(ENDS)):
            graphs = dict[str, bytes]()
            for part, module in source.parts.items():
                bar.message(f"{source.name}: quantising {part}")
                graphs[f"{part}.onnx"] = quantise(module, source_of(part, source.parts), faces, whole_ends=whole_ends)
                (fresh / f"{part}.onnx").write_bytes(graphs[f"{part}.onnx"])
            differences = compare_with_torch(source.parts, fresh, faces, FACES)
            description = describe_export(source, "int8", graphs, differences)
            if source.editor is None:
                break
            quantised = Editor(OnnxBackend(fresh, description), description, name=source.name)
            facts = description["export"]["losses"] = losses_of(source.editor, quantised, faces, embedder)
            if not facts["more_than_a_point_lost_at"]:
                break
            bar.message(_loss_of_success(source.name, facts))
        extra: dict[str, str | bytes] = {**graphs, "README.md": card_of(source, description)}
        checkpoint.save_model(out.resolve(), description, None, extra=extra)
    return Exported(out, differences, sum(path.stat().st_size for path in out.iterdir()), facts)


def write_graphs(source: Source, folder: Path, weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """The graphs of all parts by their files' names, written beside `model.safetensors`, which they refer to.

    `weights` are those in that file: rounded ones are not the model's own.
    """
    stored, graphs = WeightFile(folder / "model.safetensors"), {}
    with _holding(source.model, weights):
        for part, module in source.parts.items():
            graphs[f"{part}.onnx"] = link(trace(module), stored).SerializeToString()
            (folder / f"{part}.onnx").write_bytes(graphs[f"{part}.onnx"])
    return graphs


@contextmanager
def _holding(model: Trainable, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """The model with these weights in place of its own until the block ends."""
    own = model.state_dict()
    before = {name: own[name].clone() for name in weights}
    try:
        for name, value in weights.items():
            own[name].copy_(value)
        yield
    finally:
        for name, value in before.items():
            own[name].copy_(value)


def refuse_difference(differences: Mapping[str, float], limit: float) -> None:
    """VisagistError where a graph and torch differ by more than this."""
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= limit:
        raise VisagistError(
            f"the graph {worst} and torch differ by {differences[worst]:.2g}, more than {limit:g}: the model is not exported"
        )


def export_section(source: Source, precision: Precision, graphs: Mapping[str, bytes]) -> dict[str, Any]:
    """The facts of graphs, by which an `OnnxBackend` opens them."""
    section: dict[str, Any] = {
        "precision": precision,
        "graphs": {
            Path(file).stem: {"file": file, "sha256": hashlib.sha256(data).hexdigest()} for file, data in graphs.items()
        },
    }
    if source.editor is not None:
        backend = source.editor.backend
        able = set(backend.capabilities) | ({"classify"} if "classify" in source.parts else set())
        section |= {
            "capabilities": sorted(able), "attributes": list(backend.attributes), "paper_amount": backend.paper_amount
        }
        if isinstance(source.model, StepwiseMethod):
            section["stepwise"] = True
        if backend.recolours:
            section["recolours"] = True
    return section


def describe_export(
    source: Source, precision: Precision, graphs: Mapping[str, bytes], differences: Mapping[str, float]
) -> dict[str, Any]:
    """The `config.json` of an exported folder: the model's, and what a program without visagist needs."""
    side, crop = int(source.description["image_size"]), source.description.get("crop")
    export = export_section(source, precision, graphs)
    export["difference_to_torch"] = {name: float(f"{value:.3g}") for name, value in differences.items()}
    if source.editor is not None:
        export["faces"] = {
            "side": side, "channels": "RGB", "range": [0, 1], "layout": "NCHW",
            "crop": crop, "template": [[round(float(v), 4) for v in point] for point in template(crop, side)],
            "mask": {"corners": CORNERS, "feather": FEATHER},
        }  # fmt: skip
    return {**source.description, "export": export, "visagist": __version__}


def card_of(source: Source, description: Mapping[str, Any]) -> str:
    """The model's card, with what was exported below it."""
    export = description["export"]
    rows = [
        f"| {name} | {graph['file']} | {export['difference_to_torch'].get(name, 0):.2g} |"
        for name, graph in export["graphs"].items()
    ]
    head = (
        f"## Exported\n\nGraphs for ONNX, {export['precision']}, written by visagist {__version__}. `config.json` says what"
        " goes in and comes out; the weights are in `model.safetensors`.\n\n"
        "| graph | file | largest difference to torch |\n|---|---|---|"
    )
    if export["precision"] == "int8":
        head = head.replace("; the weights are in `model.safetensors`", "; each file has its own weights")
    own = (source.card or f"# {source.name}").rstrip()
    return "\n".join([own, "", head, *rows, "", *_losses(export), ""])


def _loss_of_success(name: str, losses: Mapping[str, Any]) -> str:
    """What to know of a quantised model that loses too much."""
    where, most = ", ".join(losses["more_than_a_point_lost_at"]), losses["success_lost_most_points"]
    return f"{name} in int8 loses more than a point of success at {where}, at most {most:g}: take fp16"


def _losses(export: Mapping[str, Any]) -> list[str]:
    losses = export.get("losses")
    if not losses:
        return []
    shown = {**losses, "more_than_a_point_lost_at": ", ".join(losses["more_than_a_point_lost_at"]) or "nowhere"}
    lines = ["| of the quantised model | value |", "|---|---|"]
    return [*lines, *(f"| {name} | {value} |" for name, value in shown.items())]


def export_zoo(name: str) -> dict[str, float]:
    """Write the graphs of a shipped model beside its weights, and their facts into its `config.json`; the differences.

    Only what an `Editor` runs: the whole edit is left to `export_onnx`.
    """
    from visagist.boundary.schema import json_text
    from visagist.files import write_synced

    source, folder = open_source(name), pretrained.ZOO / name
    parts = {part: module for part, module in source.parts.items() if part != "edit"}
    source = source._replace(parts=parts)
    for stale in folder.glob("*.onnx"):
        stale.unlink()
    graphs = write_graphs(source, folder, {})
    differences = compare_with_torch(parts, folder, None, FACES)
    refuse_difference(differences, judge_limit("fp32"))
    described = {**checkpoint.read_description(folder), "export": export_section(source, "fp32", graphs)}
    write_synced(folder / "config.json", json_text(described, 1) + "\n")
    return differences
