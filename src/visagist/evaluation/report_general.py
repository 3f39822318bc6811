"""The part of a report that is not about one attribute."""

from __future__ import annotations

from html import escape
from typing import Any

from visagist.evaluation.results import Metrics
from visagist.reports.tables import list_table, number, share

Form = Any  # of a figure to the content of a cell
Row = tuple[str, str, Form]  # title, key, form


def general(metrics: Metrics) -> str:
    """What is not about one attribute: reconstruction, samples, cost, the code as a whole, distances from photographs."""
    rows = [
        ("mean squared error", "reconstruction.mse", number),
        ("PSNR (dB)", "reconstruction.psnr", number),
        ("structural similarity", "reconstruction.ssim", number),
        *_named(metrics, "reconstruction.perceptual.", "perceptual distance by {}", number),
        ("sharpness of reconstructions; photographs: 1", "sharpness.reconstruction", number),
        ("sharpness of samples", "sharpness.samples", number),
        ("identity cosine, photograph and reconstruction", "identity.reconstruction", number),
        ("identity cosine, same person", "identity.same_person", number),
        ("identity cosine, different people", "identity.different_people", number),
        ("attributes that a single dimension of z tells", "entanglement.captured", number),
        ("how much better the best one tells them than the second (TAD)", "entanglement.tad", number),
        *_sampling(metrics),
        ("parameters", "cost.parameters", number),
        ("milliseconds an edit, one at a time", "cost.ms_per_edit", number),
        ("milliseconds a reconstruction, one at a time", "cost.ms_per_reconstruction", number),
        ("milliseconds a sample, one at a time", "cost.ms_per_sample", number),
        ("edits a second, in batches", "cost.edits_per_second", number),
        ("memory of a batch of edits at its peak (MiB)", "cost.peak_memory_mib", number),
        ("images a second when it was trained", "cost.training_images_per_second", number),
        ("images judged a second, all of this included", "cost.images_per_second", number),
        ("seconds for all of this", "cost.wall_seconds", number),
    ]
    return "<h2>Reconstruction and cost</h2>" + list_table(metrics, rows) + _realism(metrics)


def _named(metrics: Metrics, start: str, title: str, form: Form) -> list[Row]:
    """The figures whose keys start so; the rest of the key goes into the title."""
    keys = [key for key in metrics.values if key.startswith(start)]
    return [(title.format(escape(key.removeprefix(start))), key, form) for key in keys]


def _sampling(metrics: Metrics) -> list[Row]:
    """How often samples with and without each attribute are accepted, and what the judge sees in them."""
    words = {"acceptance": "chains accepted", "prior": "plain draws accepted", "judged": "samples judged as asked"}
    rows: list[Row] = []
    for key in metrics.values:
        if key.startswith("sampling."):
            _, name, figure = key.split(".")
            kind, _, value = figure.rpartition("_")
            rows.append((f"{words[kind]}, {escape(name.replace('_', ' '))} = {value}", key, share))
    return rows


def _realism(metrics: Metrics) -> str:
    """Every distance between sets of faces, the floor among them; nothing where no network was given."""
    keys = [key for key in metrics.values if key.startswith("realism.")]
    if not keys:
        return ""
    titles = [key.removeprefix("realism.").replace(".", ": ", 1).replace(".", ", ").replace("_", " ") for key in keys]
    rows = [(escape(title), key, number) for title, key in zip(titles, keys)]
    return "<h2>Distance from photographs</h2>" + list_table(metrics, rows)
