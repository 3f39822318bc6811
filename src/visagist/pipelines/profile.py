"""Where the time of a training step goes, as a function: phases by network, operators, and the machine's own speed.

Four readings of the same steps. The clock: steps alone, without a profiler. The timeline: the profiler's tree of one step,
whose parts add up. The operations of the step's convolutions and matrix products. And these kernels run alone, on tensors
of the same shapes, precision and memory format, by turns with steps: their time is the least that the step can take with
these kernels here, so their operations a second are the machine's measured peak for this step.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from visagist.boundary.ownership import refuse_foreign, refuse_source
from visagist.data.faces import Faces
from visagist.environment import describe_machine
from visagist.errors import VisagistError
from visagist.pipelines.plan import TrainingPlan, build_model, make_plan, training_faces
from visagist.progress import ProgressLike, progress_of
from visagist.training.distributed import World, pick_device
from visagist.training.precision import has_bf16
from visagist.training.profiler import LOSSES, PHASES, Kernel, Kernels, Timeline, record_timeline, synchronise
from visagist.training.trainer import Trainer

DRAWN_FACES, ATTRIBUTE = "synthetic:256", "Smiling"
WARM_STEPS = 2
TOP = 12

Spread = dict[str, float]


def profile_step(
    method: str,
    data: str | Faces | None = None,
    *,
    recipe: str | None = None,
    attributes: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    width: int | None = None,
    steps: int = 8,
    device: str = "auto",
    trace: Path | None = None,
    progress: ProgressLike = None,
) -> dict[str, Any]:
    """Train `steps` steps twice, on drawn faces where no data are named, and say where their time went.

    `width` sets every setting that is the width of a network. Nothing is written but `trace`. Times are milliseconds.
    """
    if steps < 1:
        raise VisagistError(f"steps is {steps}: a profile needs at least 1")
    if trace is not None:
        refuse_source(trace, data if isinstance(data, str) else None)
        refuse_foreign(trace, "choose another, or add --overwrite")
    if trace is not None and not trace.parent.is_dir():
        raise VisagistError(f"cannot write {trace}: the folder {trace.parent} is not there; make it, or name another")
    chosen = pick_device(device)
    if chosen.type not in ("cpu", "cuda"):
        raise VisagistError(f"the profiler has no clock for the device {chosen.type}: give --device cpu or cuda")
    named = attributes if attributes is not None or recipe is not None else (ATTRIBUTE,)
    plan = make_plan(method, attributes=named, recipe=recipe, settings=settings, data=data)
    if width is not None:
        settings = {**(settings or {}), **_widths(plan, width)}
        plan = make_plan(method, attributes=named, recipe=recipe, settings=settings, data=data)
    with progress_of(progress) as shown:
        faces = training_faces(plan, data or DRAWN_FACES, progress=shown)
        trainer = Trainer(build_model(plan, faces.names), faces, plan.training, Path("unwritten"), world=World(0, 1, chosen))
        trainer.trainable.train()
        for _ in range(WARM_STEPS):
            trainer.step()
        with Kernels() as recorder:
            trainer.step()
        kernels = recorder.kernels()
        shown.message(f"timing {steps} steps, and their {sum(k.calls for k in kernels)} kernels alone")
        clock = _by_turns(trainer, kernels, steps)
        shown.message(f"profiling {steps} steps")
        timeline = record_timeline(trainer, steps, trace)
    return {
        **_described(plan, trainer),
        "step": _step(clock["step"], plan.training.batch_size),
        "timeline": _timeline(timeline),
        "operators": _operators(timeline),
        "kernels": _kernels(kernels, clock),
    }


@dataclass(frozen=True)
class _Alone:
    """Seconds that one call of a kernel took alone, in each round."""

    kernel: Kernel
    seconds: list[float]


def _widths(plan: TrainingPlan, width: int) -> dict[str, Any]:
    widths = {f"method.{name}": width for name in vars(plan.config) if name == "width" or name.endswith("_width")}
    if not widths:
        raise VisagistError(f"{plan.trainable.name} has no width: leave --width out, and see visagist methods --json")
    return widths


def _by_turns(trainer: Trainer, kernels: list[Kernel], rounds: int) -> dict[str, Any]:
    """Seconds of a step and of each kernel alone, round by round, so that a load on the machine slows both."""
    device = trainer.world.device
    alone = [_Alone(kernel, []) for kernel in kernels]
    steps: list[float] = []
    for turn in range(-1, rounds):
        synchronise(device)
        began = time.perf_counter()
        trainer.step()
        synchronise(device)
        spent = time.perf_counter() - began
        alone_now = [kernel.seconds() for kernel in kernels]
        if turn >= 0:
            steps.append(spent)
            for timing, seconds in zip(alone, alone_now):
                timing.seconds.append(seconds)
    return {"step": steps, "alone": alone}


def _described(plan: TrainingPlan, trainer: Trainer) -> dict[str, Any]:
    training, device = plan.training, trainer.world.device
    native = has_bf16(device)
    taken = training.precision if training.precision != "auto" else "bf16" if native else "fp32"
    return {
        "method": plan.trainable.name,
        "settings": {
            "image_size": plan.data.image_size, "batch_size": training.batch_size, "precision": taken,
            "bf16_is_native": native, "channels_last": training.channels_last, "device": str(device),
            "attributes": list(trainer.trainable.attributes), "data": trainer.faces.manifest.get("source"),
            **vars(plan.config),
        },
        "machine": {**describe_machine(), "torch": torch.__version__, "load_average": [round(load, 2) for load in _load()]},
    }  # fmt: skip


def _load() -> tuple[float, ...]:
    return os.getloadavg() if hasattr(os, "getloadavg") else ()


def _step(seconds: list[float], batch_size: int) -> dict[str, float]:
    return {"images_per_second": batch_size / statistics.median(seconds), **_milliseconds(seconds)}


def _milliseconds(seconds: list[float]) -> Spread:
    return {name: 1000 * value for name, value in _spread(seconds).items()}


def _spread(values: list[float]) -> Spread:
    quarter, half, three = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": half, "quarter": quarter, "three_quarters": three}


def _timeline(timeline: Timeline) -> dict[str, Any]:
    parts = timeline.parts
    whole = sum(parts.values())
    names = sorted({name for phase, name in parts if phase in PHASES}, key=lambda name: (name == LOSSES, name))
    networks = {name: {phase: 1000 * parts.get((phase, name), 0.0) for phase in PHASES} for name in names}
    return {
        "networks": networks,
        "data": 1000 * parts.get(("data", ""), 0.0),
        "other": 1000 * parts.get(("other", ""), 0.0),
        "sum": 1000 * whole,
        "clock": 1000 * timeline.clock,
        "data_share": parts.get(("data", ""), 0.0) / whole,
    }


def _operators(timeline: Timeline) -> list[dict[str, Any]]:
    whole = sum(timeline.parts.values())
    most = sorted(timeline.operators.items(), key=lambda item: -item[1][1])[:TOP]
    return [
        {"operator": name.removeprefix("aten::"), "calls": calls, "ms": 1000 * spent, "share": spent / whole}
        for name, (calls, spent) in most
    ]


def _kernels(kernels: list[Kernel], clock: dict[str, Any]) -> dict[str, Any]:
    """Operations, and the time of the kernels alone beside that of the step of the same round."""
    flops = sum(kernel.flops * kernel.calls for kernel in kernels)
    rounds = [sum(timing.kernel.calls * timing.seconds[i] for timing in clock["alone"]) for i in range(len(clock["step"]))]
    by_operator: dict[str, dict[str, float]] = {}
    for timing in clock["alone"]:
        row = by_operator.setdefault(str(timing.kernel.operator).removeprefix("aten."), {"calls": 0, "flops": 0, "ms": 0.0})
        row["calls"] += timing.kernel.calls
        row["flops"] += timing.kernel.calls * timing.kernel.flops
        row["ms"] += 1000 * timing.kernel.calls * statistics.median(timing.seconds)
    return {
        "flops": flops,
        "flops_per_second": flops / statistics.median(clock["step"]),
        "measured_peak": flops / statistics.median(rounds),
        "alone": _milliseconds(rounds),
        "share_of_measured_peak": _spread([alone / step for alone, step in zip(rounds, clock["step"])]),
        "by_operator": by_operator,
    }
