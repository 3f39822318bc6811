"""One edit, and a batch of them, by a shipped model under several runtimes, and how far each is from the plain one.

`eager fp32` is PyTorch as it is, contiguous; `max difference` is that of pixels in [0, 1] from it. An edit is encoding,
switching the label, decoding. `Editor` is what a person calls: pixels in, pixels out, bytes in [0, 255].
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suite.machine import version
from suite.timing import Given, Group, Part, Ratio, Seconds, by_turns, compare
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.editor import Editor
from visagist.latent.backend import torch_method
from visagist.methods.base import Method
from visagist.training.precision import has_bf16

MODEL = "ifcvae-gan-smiling-64"
BATCHES = {1: 20, 32: 2}  # by size of the batch: how many a turn
CPU = torch.device("cpu")
PLAIN = "eager fp32"

Runtime = Callable[[Tensor], Tensor]


class Edit(nn.Module):
    """An edit of every attribute all the way toward its class, as a module from images to images."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> Tensor:
        toward = torch.ones(len(images), len(self.method.attributes))
        return self.method.edit(images, toward, toward)


def run(given: Given) -> Part:
    part = Part()
    editor = Editor.from_pretrained(MODEL, "cpu")
    edit = Edit(torch_method(editor, "an exported edit")).eval().requires_grad_(False)
    size = editor.image_size
    for number, turns in BATCHES.items():
        pixels = SyntheticFaces(number, image_size=size).render()
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).contiguous()
        with tempfile.TemporaryDirectory() as folder:
            runtimes = {**_torch(edit), **_exported(edit, images, Path(folder), part)}
            toward = np.ones(len(editor.attributes), np.float32)
            runtimes["Editor, bytes to bytes"] = lambda _, p=pixels, t=toward: (
                torch.from_numpy(editor.edit_arrays(p, t, t)).permute(0, 3, 1, 2) / 255
            )
            part.groups.append(_measured(given, runtimes, images, 1 if given.quick else turns))
    return part


def _measured(given: Given, runtimes: dict[str, Runtime], images: Tensor, turns: int) -> Group:
    def repeated(runtime: Runtime) -> None:
        with torch.inference_mode():
            for _ in range(turns):
                runtime(images)

    number = len(images)
    group = Group(f"{MODEL}, {number} at a time", {"model": MODEL, "batch_size": number}, unit="edits")
    contestants = {name: (lambda r=runtime: repeated(r)) for name, runtime in runtimes.items()}
    found = by_turns(contestants, given.rounds_or(15), CPU)
    each: Seconds = {name: [second / turns for second in seconds] for name, seconds in found.items()}
    compare(group, each, number, [Ratio(name, PLAIN) for name in runtimes if name != PLAIN])
    with torch.inference_mode():
        plain = runtimes[PLAIN](images)
        for name, runtime in runtimes.items():
            group.contestants[name]["max_difference"] = float((runtime(images) - plain).abs().max())
    return group


def _torch(edit: Edit) -> dict[str, Runtime]:
    last = copy.deepcopy(edit).to(memory_format=torch.channels_last)

    def laid_out(images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)

    def in_bf16(module: Edit, images: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(images).float()

    found: dict[str, Runtime] = {PLAIN: edit, "channels_last": lambda images: last(laid_out(images))}
    if has_bf16(CPU):
        found["bf16"] = lambda images: in_bf16(edit, images)
        found["bf16, channels_last"] = lambda images: in_bf16(last, laid_out(images))
    return found


def _exported(edit: Edit, images: Tensor, folder: Path, part: Part) -> dict[str, Runtime]:
    """The runtimes that read ONNX, each for this size of batch."""
    missing = [name for name in ("onnx", "onnxscript") if not version(name)]
    runners = {"onnxruntime": _onnxruntime, "openvino": _openvino}
    for name in list(runners):
        lacking = missing + ([] if version(name) else [name])
        if lacking:
            part.skipped[name] = f"not installed: {', '.join(lacking)}; pip install -r benchmarks/requirements.txt"
            del runners[name]
    if not runners:
        return {}
    path = folder / "edit.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own parts
        logging.disable(logging.WARNING)
        torch.onnx.export(edit, (images,), path, input_names=["images"], dynamo=True, verbose=False, external_data=False)
        logging.disable(logging.NOTSET)
    return {title: runtime for make in runners.values() for title, runtime in make(path).items()}


def _onnxruntime(path: Path) -> dict[str, Runtime]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return {"onnxruntime": lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])}


def _openvino(path: Path) -> dict[str, Runtime]:
    import openvino

    core = openvino.Core()
    hints = ["f32", *(["bf16"] if has_bf16(CPU) else [])]

    def compiled(hint: str) -> Any:
        asked = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": hint}
        return core.compile_model(core.read_model(path), "CPU", asked)

    models = {f"openvino {hint}": compiled(hint) for hint in hints}
    return {
        title: lambda images, model=model: torch.from_numpy(np.asarray(model([images.numpy()])[0]).copy())
        for title, model in models.items()
    }
