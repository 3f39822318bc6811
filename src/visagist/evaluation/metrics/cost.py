"""What a face costs here: parameters and time, with the machine named."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from visagist.evaluation.context import CHUNK, EvaluationContext, Images
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import Measure, exact, mean_ci
from visagist.latent.backend import optional_method
from visagist.methods.base import Method

SINGLE = 20
METRICS = (
    Metric("cost.parameters", "parameters", better="lower", pages={"general": "", "comparison": ""}),
    Metric("cost.ms_per_edit", "milliseconds an edit, one at a time", better="lower", pages={
        "general": "", "comparison": "ms an edit",
    }),
    Metric("cost.ms_per_reconstruction", "milliseconds a reconstruction, one at a time", better="lower", pages={
        "general": "", "comparison": "ms a reconstruction",
    }),
    Metric("cost.ms_per_sample", "milliseconds a sample, one at a time", better="lower", pages={
        "general": "", "comparison": "ms a sample",
    }),
    Metric("cost.edits_per_second", "edits a second, in batches", pages={"general": ""}),
    Metric("cost.peak_memory_mib", "memory of a batch of edits at its peak (MiB)", better="lower", pages={"general": ""}),
    Metric("cost.training_images_per_second", "images a second when it was trained", pages={"general": ""}),
    Metric("cost.images_per_second", "images judged a second, all of this included", pages={"general": ""}),
    Metric("cost.wall_seconds", "seconds for all of this", better="lower", pages={"general": ""}),
)  # fmt: skip


def count_parameters(method: Method) -> int:
    """Parameters of the networks that inference needs, of all where the method does not say."""
    networks = method.networks()
    needed = [name for name in method.inference_networks if name in networks]
    return sum(p.numel() for name in needed or networks for p in networks[name].parameters())


def measure_cost(context: EvaluationContext) -> None:
    """Parameters, and times in batches and of one face at a time.

    `cost.parameters`, `cost.ms_per_edit`, `cost.ms_per_reconstruction`, `cost.ms_per_sample`, `cost.edits_per_second`,
    `cost.peak_memory_mib` of a batch of edits, `cost.training_images_per_second` on the machine that trained it.
    """
    values, missing, images = context.results.values, context.results.not_computed, context.faces.images
    method = optional_method(context.editor)
    if method is None:
        missing["cost.parameters"] = f"{context.editor.backend.name} is no torch method"
    else:
        values["cost.parameters"] = exact(count_parameters(method))
    _training(context)
    context.progress.describe("timing")
    if context.can("autoencode"):
        values["cost.ms_per_reconstruction"] = _timed(context, lambda i: context.editor.reconstruct_arrays(_one(images, i)))
    else:
        missing["cost.ms_per_reconstruction"] = f"{context.editor.backend.name} does not autoencode"
    if context.can("generate"):
        values["cost.ms_per_sample"] = _timed(context, lambda i: context.sample(1))
    else:
        missing["cost.ms_per_sample"] = f"{context.editor.backend.name} does not generate"
    if not context.can("edit"):
        missing["cost.ms_per_edit"] = missing["cost.peak_memory_mib"] = f"{context.editor.backend.name} does not edit"
        return
    attribute = context.editor.attributes[0]
    values["cost.ms_per_edit"] = _timed(context, lambda i: context.toward(_one(images, i), attribute, 1))
    batch = images[:CHUNK]
    started = time.perf_counter()
    context.toward(batch, attribute, 1)
    values["cost.edits_per_second"] = exact(len(batch) / (time.perf_counter() - started), len(batch))
    peak = peak_of(lambda: context.toward(batch, attribute, 1), context.device)
    if peak is None:
        missing["cost.peak_memory_mib"] = HOW
    else:
        values["cost.peak_memory_mib"] = exact(peak, len(batch))


def _training(context: EvaluationContext) -> None:
    """What the model's own record says of how fast it was trained."""
    training = context.editor.description.get("training") or {}
    if training.get("seconds") and training.get("images"):
        speed = exact(training["images"] / training["seconds"])
        context.results.values["cost.training_images_per_second"] = speed
    else:
        context.results.not_computed["cost.training_images_per_second"] = "the model does not record how long it trained"


def _one(images: Images, number: int) -> Images:
    row = number % len(images)
    return images[row : row + 1]


def _timed(context: EvaluationContext, work: Callable[[int], object]) -> Measure:
    """Milliseconds of `work`, which is done once before."""
    work(0)
    times = []
    for number in range(SINGLE):
        started = time.perf_counter()
        work(number)
        times.append(1000 * (time.perf_counter() - started))
    return mean_ci(np.array(times), context.seed)


MIB = 2**20
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HOW = "only Linux tells a process its own peak since a moment, and CUDA that of a GPU"


def peak_of(work: Callable[[], object], device: torch.device) -> float | None:
    """MiB that `work` takes at its peak beyond what was held before: of the GPU, or of the process on the CPU.

    None where the system does not tell.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - held) / MIB
    if device.type != "cpu" or not CLEAR.exists():
        return None
    _give_back()
    if not _forget_the_peak():
        return None
    before = _resident("VmRSS")
    work()
    return max(0.0, _resident("VmHWM") - before)


def _give_back() -> None:
    """Let the C library return to the system what was freed and kept: else work that was done once before takes nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _forget_the_peak() -> bool:
    """Let the process's peak begin anew; whether the system can."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _resident(which: str) -> float:
    """MiB of this process in memory: now (VmRSS), or at most since the peak was forgotten (VmHWM)."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024
