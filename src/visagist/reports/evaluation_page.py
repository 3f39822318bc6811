"""The page of an evaluation: pictures first, then curves and tables, the manifest at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import RESIDUAL_GAIN
from visagist.reports.charts import bar_chart, calibration_chart, largest, matrix_chart
from visagist.reports.html import render, words
from visagist.reports.tables import Column, Figure, Row, Table, bar, list_table, number, share

SETTINGS = {
    "": "the paper's setting",
    "at_strength.": "strength −1 and +1",
    "base_rate_reconstruction.": "no edit: reconstructions",
    "base_rate_photo.": "no edit: photographs",
}
IN_SHORT = (
    ("taken away, judged 0", "edit.{}.success_0"),
    ("given, judged 1", "edit.{}.from_0.success_1"),
    ("taken away at −1", "edit.{}.at_strength.success_0"),
    ("given at +1", "edit.{}.at_strength.from_0.success_1"),
    ("others that flip", "edit.{}.err"),
    ("energy in the region", "edit.{}.locality"),
    ("linear probe on z", "leakage.{}.linear.balanced_accuracy"),
    ("its gain over the labels", "leakage.{}.gain"),
    ("beyond the labels, MLP", "leakage.{}.beyond.mlp"),
    ("the judge on photographs", "judge.{}.balanced_accuracy"),
)


PROBES = {"linear": "linear probe", "mlp": "MLP probe", "boosted": "boosted trees"}
FLOORS = {"labels_only": "other labels alone", "labels_only_elsewhere": "those not much the same"}
BARS = (
    ("linear probe on z", "linear"),
    ("MLP probe on z", "mlp"),
    ("boosted trees on z", "boosted"),
    ("the other labels alone", "labels_only"),
    ("without those much the same", "labels_only_elsewhere"),
)


SUCCESS = tuple(f"{side}success_{part}" for side in ("", "from_0.") for part in ("0", "1", "sum"))
FLIPS = {"the paper's setting": "err_each", "strength −1 and +1": "err_each.at_strength"}


def evaluation_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """Return the page of an evaluation."""
    manifest, names = metrics.manifest, metrics.manifest["model"]["measured"]
    return render(
        "evaluation.html", title=f"{manifest['model']['name']}, {manifest['data']['n']} faces", manifest_json=manifest,
        gain=RESIDUAL_GAIN, tiles=_tiles(metrics), summary=_summary(metrics) if len(names) > 1 else None,
        attributes=[_attribute(metrics, name, [strip for strip in strips if strip.attribute == name]) for name in names],
        matrices=list(_matrices(metrics)), general=list_table(metrics, _general(metrics)),
        distances=list_table(metrics, _distances(metrics)), reasons=metrics.not_computed, facts=_facts(manifest),
    )  # fmt: skip


def _tiles(metrics: Metrics) -> list[tuple[Figure, str]]:
    rows: list[Column] = [("reconstruction error (MSE)", "reconstruction.mse", number)]
    for name in metrics.manifest["model"]["measured"]:
        rows += [
            (f"{words(name)} taken away from faces that have it", f"edit.{name}.success_0", share),
            (f"{words(name)} given to faces that have it not", f"edit.{name}.from_0.success_1", share),
            ("of the other attributes flip with it", f"edit.{name}.err", share),
            (
                f"a fresh probe reads {words(name)} from z (50 %: chance)",
                f"leakage.{name}.linear.balanced_accuracy",
                share,
            ),
        ]
    return [(form(metrics[key]), title) for title, key, form in rows if key in metrics]


def _summary(metrics: Metrics) -> Table | None:
    """All attributes in one table; None where nothing of it was computed."""
    names = metrics.manifest["model"]["measured"]
    columns = [(title, key) for title, key in IN_SHORT if any(key.format(name) in metrics for name in names)]
    rows: list[Row] = [[words(n), *(share(metrics.values.get(key.format(n))) for _, key in columns)] for n in names]
    return Table(["attribute", *(title for title, _ in columns)], rows, sortable=True) if columns else None


def _attribute(metrics: Metrics, name: str, strips: list[Strip]) -> dict[str, Any]:
    """What the section of an attribute shows; None for what was not computed."""
    curve = metrics.curves.get(f"edit.{name}.calibration")
    rows = [(title, [metrics.values.get(f"edit.{name}.{key}{c}") for c in SUCCESS]) for key, title in SETTINGS.items()]
    edits: list[Column] = [
        ("other attributes that flip", f"edit.{name}.err", share),
        ("other attributes that flip, at strength", f"edit.{name}.at_strength.err", share),
        ("faces whose score rises monotonically", f"edit.{name}.monotonic", share),
        ("residual energy inside the region", f"edit.{name}.locality", share),
        ("distance after 1 null edit", f"edit.{name}.null_x1", number),
        ("distance after 10 null edits", f"edit.{name}.null_x10", number),
        ("distance after edit and undo", f"edit.{name}.undo", number),
        ("the same, from the reconstruction", f"edit.{name}.undo_from_reconstruction", number),
        ("identity cosine, photograph and edit", f"identity.{name}.edit", number),
        ("the same at strength ±1", f"identity.{name}.at_strength.edit", number),
        ("drop from the reconstruction's", f"identity.{name}.drop", number),
    ]
    return {
        "name": name,
        "strips": strips,
        "calibration": None if curve is None else calibration_chart(curve),
        "success": [(title, list(map(share, measures))) for title, measures in rows if any(measures)],
        "second": _second_judge(metrics, name),
        "edits": list_table(metrics, edits),
        "flips": _flips(metrics, name),
        "counterfactual": _counterfactual(metrics, name),
        "leakage": _leakage_chart(metrics, name),
        "probes": list_table(metrics, _probes(name)),
        "beyond": list_table(metrics, _beyond_labels(metrics, name)),
    }


def _second_judge(metrics: Metrics, name: str) -> Table | None:
    """What a judge of another family says of the same edits."""
    key = f"second.{name}"
    if f"{key}.success_0" not in metrics and f"{key}.from_0.success_1" not in metrics:
        return None
    settings = {"": "", "at_strength.": ", at strength ±1", "base_rate_reconstruction.": ", unedited"}
    rows: list[Column] = [
        (f"{title}{setting}", f"{key}.{prefix}{figure}", share)
        for prefix, setting in settings.items()
        for title, figure in (("taken away, judged 0", "success_0"), ("given, judged 1", "from_0.success_1"))
    ]
    rows += [
        ("edits on whose class both judges agree", f"{key}.agreement", share),
        ("its own balanced accuracy on the photographs", f"{key}.balanced_accuracy", share),
    ]
    return list_table(metrics, rows)


def _counterfactual(metrics: Metrics, name: str) -> Table | None:
    """Edits beside the true pictures; None where the faces are not drawn ones."""
    key = f"counterfactual.{name}"
    if f"{key}.error" not in metrics:
        return None
    flipped = sorted(k for k in metrics.values if k.startswith(f"{key}.confusion_true."))
    return list_table(metrics, [
        ("error of the edit against the true picture (MSE)", f"{key}.error", number),
        ("the same of doing nothing", f"{key}.error_of_nothing", number),
        ("blur alone: reconstruction against photograph", f"{key}.error_of_reconstruction", number),
        ("error inside the true region", f"{key}.inside", number),
        ("error outside", f"{key}.outside", number),
        ("error against the model's picture of the truth", f"{key}.error_beyond_reconstruction", number),
        ("progress toward that picture; nothing 0, perfect 1", f"{key}.progress", number),
        ("the same at strength ±1", f"{key}.at_strength.progress", number),
        ("reach along the true change; nothing 0, perfect 1", f"{key}.reach", number),
        ("energy of the edit inside the true region", f"{key}.locality_true", share),
        *((f"flips {words(k.rpartition('.')[2])} as well; all its pixels 1", k, number) for k in flipped),
    ])  # fmt: skip


def _flips(metrics: Metrics, name: str) -> Table | None:
    """How often each of the judge's attributes flips, at both settings."""
    titles = {"the paper's setting": "err_each", "strength ±1": "err_each.at_strength"}
    matrices = {title: m for title, key in titles.items() if name in (m := metrics.matrices.get(key, {})).get("rows", ())}
    if not matrices:
        return None
    shares = [dict(zip(m["columns"], m["values"][m["rows"].index(name)])) for m in matrices.values()]
    first, n = shares[0], metrics.manifest["data"]["n"]
    names = sorted((column for column, value in first.items() if value is not None), key=lambda column: -first[column])
    rows: list[Row] = [[words(column), *(bar(exact(values[column], n)) for values in shares)] for column in names]
    return Table(["attribute", *matrices], rows, sortable=True)


def _matrices(metrics: Metrics) -> Iterator[tuple[str, Markup, float]]:
    """Setting, chart and largest share of what flips with what."""
    for setting, key in FLIPS.items():
        if key in metrics.matrices:
            label = f"Share of faces whose reading of each attribute flips, by edited attribute, at {setting}"
            yield setting, matrix_chart(metrics.matrices[key], label), largest(metrics.matrices[key])


def _general(metrics: Metrics) -> list[Column]:
    """What is not about one attribute: reconstruction, samples, cost, the code as a whole."""
    perceptual = [key for key in metrics.values if key.startswith("reconstruction.perceptual.")]
    return [
        ("mean squared error", "reconstruction.mse", number),
        ("PSNR (dB)", "reconstruction.psnr", number),
        ("structural similarity", "reconstruction.ssim", number),
        *((f"perceptual distance by {key.removeprefix('reconstruction.perceptual.')}", key, number) for key in perceptual),
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


def _sampling(metrics: Metrics) -> Iterator[Column]:
    """How often samples with and without each attribute are accepted, and what the judge sees in them."""
    titles = {"acceptance": "chains accepted", "prior": "plain draws accepted", "judged": "samples judged as asked"}
    for key in metrics.values:
        if key.startswith("sampling."):
            _, name, figure = key.split(".")
            kind, _, value = figure.rpartition("_")
            yield f"{titles[kind]}, {words(name)} = {value}", key, share


def _distances(metrics: Metrics) -> Iterator[Column]:
    """Every distance between sets of faces, the floor among them; none where no network was given."""
    for key in metrics.values:
        if key.startswith("realism."):
            yield words(key.removeprefix("realism.").replace(".", ": ", 1).replace(".", ", ")), key, number


def _leakage_chart(metrics: Metrics, name: str) -> Markup | None:
    keys = [(title, f"leakage.{name}.{key}.balanced_accuracy") for title, key in BARS]
    rows = [(title, metrics[key]) for title, key in keys if key in metrics]
    return bar_chart(rows, 0.5, f"Balanced accuracy of reading {words(name)}, from chance on") if rows else None


def _probes(name: str) -> Iterator[Column]:
    """Probes beside their floors, and the model's and the judge's own accuracy."""
    key = f"leakage.{name}"
    for kind, title in PROBES.items():
        yield f"{title} on z, balanced accuracy", f"{key}.{kind}.balanced_accuracy", share
    yield "chance", f"{key}.linear.chance", share
    for floor, gain, title in (
        ("labels_only", "gain", "floor: the other labels alone"),
        ("labels_only_elsewhere", "gain_over_elsewhere", "floor without labels that say much the same"),
    ):
        for kind, probe in PROBES.items():
            own, more = (floor, gain) if kind == "linear" else (f"{floor}.{kind}", f"{kind}.{gain}")
            yield f"{title}, {probe}", f"{key}.{own}.balanced_accuracy", share
            yield f"{probe}'s gain over that floor", f"{key}.{more}", share
    for kind in ("linear", "mlp"):
        yield f"{PROBES[kind]} on a draw of z", f"{key}.sampled.{kind}.balanced_accuracy", share
    yield "information of z on the label, at least (bits)", f"{key}.linear.information_bits", number
    for who, title in (("classification", "the model's own classifier"), ("judge", "the judge on these photographs")):
        yield f"{title}, balanced accuracy", f"{who}.{name}.balanced_accuracy", share
        yield f"{title}, accuracy", f"{who}.{name}.accuracy", share


def _beyond_labels(metrics: Metrics, name: str) -> Iterator[Column]:
    """What z tells beyond the labels, within strata of them, and in the pictures of fresh decoders."""
    key = f"leakage.{name}"
    floors = {"beyond": "z and the other labels", "beyond_elsewhere": "the same without labels that say much the same"}
    for floor, title in floors.items():
        for kind in ("linear", "mlp"):
            yield f"{title}, {PROBES[kind]}: more than these labels alone", f"{key}.{floor}.{kind}", share
    for within in metrics.values:
        if within.startswith(f"{key}.within."):
            stratum, kind = within.removeprefix(f"{key}.within.").split(".")[:2]
            yield f"where {words(stratum)}: {(PROBES | FLOORS)[kind]}", within, share
    for source, title in (
        ("decoder", "pictures by a fresh decoder of z"),
        ("decoder_told", "those by one that is told the label"),
        ("reconstruction", "reconstructions"),
    ):
        yield f"the judge on {title}, area under its ROC curve", f"{key}.{source}.auroc", share


def _training_faces(data: Mapping[str, Any]) -> str:
    trained = data["trained_on"]
    if trained is None:
        return "not recorded"
    same = "the same source" if data["relation_to_training"] == "same" else "another source than these"
    return f"{trained['source']}, crop {trained['crop']}, {trained['count']} faces: {same}"


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, object]]:
    judge, data = manifest["judge"], manifest["data"]
    accuracy = judge["mean_accuracy_on_these_faces"]
    own = "unknown" if accuracy is None else f"mean accuracy {accuracy:.1%} over {judge['attributes_compared']} attributes"
    return [
        ("faces", f"{data['source']}, {data['split']} split, {data['n']} of {data['faces_in_source']}"),
        ("the model's training faces", _training_faces(data)),
        ("crop", f"{data['crop']}, {data['image_size']} pixels, filter {data['filter']}"),
        ("judge", f"{judge['name']}; {own} on these photographs"),
        ("strength fitted by", ", ".join(manifest["calibration_judges"]) or "unknown"),
        ("mode", manifest["mode"]),
        ("seed", manifest["seed"]),
        ("weights", manifest["model"]["weights_sha256"] or "unknown"),
        ("written", manifest["written"]),
        *((words(key), text) for key, text in manifest["definitions"].items() if isinstance(text, str)),
    ]
