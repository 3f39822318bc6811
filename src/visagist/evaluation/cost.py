"""What an edit costs here: parameters and time, with the machine named."""

from __future__ import annotations

import os
import platform
import time

import numpy as np
import torch

from visagist.evaluation.intervals import exactly, mean_of
from visagist.evaluation.study import CHUNK, Study

SINGLE_EDITS = 20


def count_parameters(method: torch.nn.Module) -> int:
    """Parameters of the networks that inference needs, of all where the method does not say."""
    networks = dict(method.named_children())
    needed = [name for name in getattr(method, "inference_networks", ()) if name in networks]
    return sum(p.numel() for name in needed or networks for p in networks[name].parameters())


def machine() -> dict[str, object]:
    """The machine that times were measured on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def measure_cost(study: Study) -> None:
    """`cost.parameters`, `cost.ms_per_edit` (one face at a time) and `cost.edits_per_second` (in batches)."""
    values = study.results.values
    values["cost.parameters"] = exactly(count_parameters(study.editor.method))
    missing = study.results.not_computed
    missing["cost.training_images_per_second"] = "measured while training: images_per_second in the run's log.jsonl"
    missing["cost.peak_memory"] = "not measured yet"
    missing["reconstruction.perceptual"] = "not measured yet: it needs a feature network"
    if not study.can("edit"):
        study.results.not_computed["cost.ms_per_edit"] = f"{study.editor.method.name} does not edit"
        return
    study.track.stage("timing")
    attribute, images = study.editor.attributes[0], study.faces.images
    study.toward(images[:1], attribute, 1)
    times = []
    for i in range(SINGLE_EDITS):
        started = time.perf_counter()
        study.toward(images[i % len(images) : i % len(images) + 1], attribute, 1)
        times.append(1000 * (time.perf_counter() - started))
    values["cost.ms_per_edit"] = mean_of(np.array(times), study.seed)
    batch = images[:CHUNK]
    started = time.perf_counter()
    study.toward(batch, attribute, 1)
    values["cost.edits_per_second"] = exactly(len(batch) / (time.perf_counter() - started), len(batch))
