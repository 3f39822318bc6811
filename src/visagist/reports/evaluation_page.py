"""The page of a report: pictures first, then curves and tables, the manifest at the end. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from visagist.boundary.schema import json_text
from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.statistics import Measure, exact
from visagist.reports import matrices, tables
from visagist.reports.charts import calibration_svg, face_table
from visagist.reports.html import html_page
from visagist.reports.matrices import bars_with_intervals, matrix_svg
from visagist.reports.tables import list_table, number, share, sortable

SETTINGS = (
    ("", "the paper's setting"),
    ("at_strength.", "strength −1 and +1"),
    ("base_rate_reconstruction.", "no edit: reconstructions"),
    ("base_rate_photo.", "no edit: photographs"),
)
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


def page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """The whole report as HTML."""
    model, data = metrics.manifest["model"], metrics.manifest["data"]
    title = escape(model["name"])
    parts = [_head(metrics), _in_short(metrics)]
    parts += [_attribute(metrics, name, [s for s in strips if s.attribute == name]) for name in model["measured"]]
    parts += [_matrix(metrics), general(metrics), missing_list(metrics), _manifest(metrics), tables.SCRIPT]
    return html_page(f"{title}, {data['n']} faces", "".join(parts), tables.STYLE + matrices.STYLE)


def _head(metrics: Metrics) -> str:
    model, data, judge = (metrics.manifest[part] for part in ("model", "data", "judge"))
    tiles = [_tile(metrics, "reconstruction.mse", "reconstruction error (MSE)", number)]
    for name in model["measured"]:
        word = escape(name.replace("_", " "))
        tiles += [
            _tile(metrics, f"edit.{name}.success_0", f"{word} taken away from faces that have it", share),
            _tile(metrics, f"edit.{name}.from_0.success_1", f"{word} given to faces that have it not", share),
            _tile(metrics, f"edit.{name}.err", "of the other attributes flip with it", share),
            _tile(
                metrics,
                f"leakage.{name}.linear.balanced_accuracy",
                f"a fresh probe reads {word} from z (50 %: chance)",
                share,
            ),
        ]
    about = (
        f"{escape(str(model['method']))} at {model['image_size']} pixels, on {data['n']} {escape(data['split'])} faces of "
        f"{escape(str(data['source']))}, judged by {escape(judge['name'])}. "
        "Edits at the paper's own setting unless said otherwise; intervals hold 95 %."
    )
    notes = "".join(f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in metrics.manifest["notes"])
    return (
        f"<p class=over>visagist evaluation</p><h1>{escape(model['name'])}</h1><p class=soft>{about}</p>{notes}"
        f"<div class=tiles>{''.join(tiles)}</div>"
    )


def _tile(metrics: Metrics, key: str, text: str, form: Any) -> str:
    if key not in metrics:
        return ""
    value, _, interval = form(metrics[key]).partition("<small>")
    return (
        f"<div class=tile><b>{value}</b><span>{text}</span><span class=soft>{interval.removesuffix('</small>')}</span></div>"
    )


def _attribute(metrics: Metrics, name: str, strips: list[Strip]) -> str:
    parts = [f"<h2>{escape(name.replace('_', ' '))}</h2>"]
    if strips:
        parts.append(face_table(strips, metrics.manifest["judge"]["name"]))
    curve = metrics.curves.get(f"edit.{name}.calibration")
    if curve is not None:
        caption = "Mean score by the judge against strength; bands hold 95 %."
        parts.append(f"<h3>Strength</h3><figure>{calibration_svg(curve)}<figcaption>{caption}</figcaption></figure>")
    parts.append(_success_table(metrics, name))
    rows = [
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
    parts.append(_second(metrics, name))
    parts += ["<h3>What else an edit does</h3>", list_table(metrics, rows), _bars(metrics, name)]
    parts += [_counterfactual(metrics, name), leakage_section(metrics, name)]
    return "".join(parts)


def _in_short(metrics: Metrics) -> str:
    """All attributes in one table, which a click on a head sorts; nothing where there is one."""
    names = metrics.manifest["model"]["measured"]
    found = [(title, key) for title, key in IN_SHORT if any(key.format(name) in metrics for name in names)]
    if len(names) < 2 or not found:
        return ""
    columns = [(title, "", share) for title, _ in found]
    rows = [([escape(name.replace("_", " "))], [metrics.values.get(key.format(name)) for _, key in found]) for name in names]
    return "<h2>All attributes</h2>" + sortable(["attribute"], columns, rows)


def _matrix(metrics: Metrics) -> str:
    """What flips with what, as a picture."""
    parts = []
    for key, setting in (("err_each", "the paper's setting"), ("err_each.at_strength", "strength −1 and +1")):
        if key in metrics.matrices:
            label = f"Share of faces whose reading of each attribute flips, by edited attribute, at {setting}"
            parts.append(f"<h3>At {setting}</h3>{matrix_svg(metrics.matrices[key], label)}")
    if not parts:
        return ""
    about = "Rows: what is edited. Columns: what the judge reads. The darker, the more faces whose reading crosses one half."
    return f"<h2>What flips with what</h2><p class=soft>{about}</p>{''.join(parts)}"


def _success_table(metrics: Metrics, name: str) -> str:
    columns = ("success_0", "success_1", "success_sum", "from_0.success_0", "from_0.success_1", "from_0.success_sum")
    body = []
    for prefix, title in SETTINGS:
        found = [metrics.values.get(f"edit.{name}.{prefix}{column}") for column in columns]
        if any(found):
            body.append(f"<tr><th scope=row>{title}</th>{''.join(f'<td>{share(m)}</td>' for m in found)}</tr>")
    if not body:
        return ""
    sides = ("from faces that have it", "from faces that have it not")
    groups = "".join(f"<th colspan=3 scope=colgroup>{side}</th>" for side in sides)
    heads = "<th></th>" + 2 * "<th scope=col>y ← 0, judged 0</th><th scope=col>y ← 1, judged 1</th><th scope=col>sum</th>"
    return (
        "<h3>Does the edit succeed?</h3>"
        f"<div class=wide><table><thead><tr><th></th>{groups}</tr><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _second(metrics: Metrics, name: str) -> str:
    """What a judge of another family says of the same edits; nothing where there is none."""
    key = f"second.{name}"
    if f"{key}.success_0" not in metrics and f"{key}.from_0.success_1" not in metrics:
        return ""
    rows = [
        (f"{title}{setting}", f"{key}.{prefix}{figure}", share)
        for prefix, setting in (("", ""), ("at_strength.", ", at strength ±1"), ("base_rate_reconstruction.", ", unedited"))
        for title, figure in (("taken away, judged 0", "success_0"), ("given, judged 1", "from_0.success_1"))
    ]
    rows += [
        ("edits on whose class both judges agree", f"{key}.agreement", share),
        ("its own balanced accuracy on the photographs", f"{key}.balanced_accuracy", share),
    ]
    return "<h3>A judge of another family</h3>" + list_table(metrics, rows)


def _counterfactual(metrics: Metrics, name: str) -> str:
    """Edits beside the true pictures; nothing where the faces are not drawn ones."""
    key = f"counterfactual.{name}"
    if f"{key}.error" not in metrics:
        return ""
    confused = sorted(k for k in metrics.values if k.startswith(f"{key}.confusion_true."))
    rows = [
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
        *(
            (f"flips {escape(k.rpartition('.')[2].replace('_', ' '))} as well; all its pixels 1", k, number)
            for k in confused
        ),
    ]
    return "<h3>Beside the true picture</h3>" + list_table(metrics, rows)


def _bars(metrics: Metrics, name: str) -> str:
    """How often each of the judge's attributes flips, at both settings; a click on a head sorts."""
    settings = [("the paper's setting", "err_each"), ("strength ±1", "err_each.at_strength")]
    there = [(title, m) for title, key in settings if (m := metrics.matrices.get(key)) is not None and name in m["rows"]]
    if not there:
        return ""
    shares = [dict(zip(m["columns"], m["values"][m["rows"].index(name)])) for _, m in there]
    names = sorted((c for c, value in shares[0].items() if value is not None), key=lambda c: -shares[0][c])
    columns = [(title, "", _flips) for title, _ in there]
    n = metrics.manifest["data"]["n"]
    rows = [([escape(c.replace("_", " "))], [exact(found[c], n) for found in shares]) for c in names]
    return f"<h3>Which attributes flip</h3>{sortable(['attribute'], columns, rows)}"


def _flips(measure: Measure | None) -> str:
    return "–" if measure is None else f'{measure["value"]:.1%}<i style="width:{100 * measure["value"]:.1f}%"></i>'


def missing_list(metrics: Metrics) -> str:
    """What could not be computed, and why."""
    if not metrics.not_computed:
        return ""
    items = "".join(f"<li><code>{escape(key)}</code>: {escape(why)}</li>" for key, why in metrics.not_computed.items())
    return f"<h2>Not computed</h2><ul>{items}</ul>"


def _training_faces(data: dict[str, Any]) -> str:
    trained = data["trained_on"]
    if trained is None:
        return "not recorded"
    same = "the same source" if data["relation_to_training"] == "same" else "another source than these"
    return f"{trained['source']}, crop {trained['crop']}, {trained['count']} faces: {same}"


def _manifest(metrics: Metrics) -> str:
    m = metrics.manifest
    judge, data = m["judge"], m["data"]
    accuracy = judge["mean_accuracy_on_these_faces"]
    own = "unknown" if accuracy is None else f"mean accuracy {accuracy:.1%} over {judge['attributes_compared']} attributes"
    facts = [
        ("faces", f"{data['source']}, {data['split']} split, {data['n']} of {data['faces_in_source']}"),
        ("the model's training faces", _training_faces(data)),
        ("crop", f"{data['crop']}, {data['image_size']} pixels, filter {data['filter']}"),
        ("judge", f"{judge['name']}; {own} on these photographs"),
        ("strength fitted by", ", ".join(m["calibration_judges"]) or "unknown"),
        ("mode", m["mode"]),
        ("seed", m["seed"]),
        ("weights", m["model"]["weights_sha256"] or "unknown"),
        ("written", m["written"]),
        *((key.replace("_", " "), text) for key, text in m["definitions"].items() if isinstance(text, str)),
    ]
    return manifest_section(metrics, facts)


def manifest_section(metrics: Metrics, facts: Iterable[tuple[str, object]] = ()) -> str:
    """The end of a page: facts as a list, where there are any, and the whole manifest folded away."""
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts)
    raw = escape(json_text(metrics.manifest, 1, ensure_ascii=False))
    listed = f"<dl>{items}</dl>" if items else ""
    return f"<h2>Manifest</h2>{listed}<details><summary>everything, as JSON</summary><pre>{raw}</pre></details>"


def defined(metrics: Metrics) -> list[tuple[str, object]]:
    """What the words of a page mean, as facts of `manifest_section`."""
    return [(key.replace("_", " "), text) for key, text in metrics.manifest["definitions"].items()]


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


Row_report_leakage = tuple[str, str, Any]  # title, key, form of the value
KINDS = (("linear", "linear probe"), ("mlp", "MLP probe"), ("boosted", "boosted trees"))
BARS = (
    ("linear probe on z", "linear"),
    ("MLP probe on z", "mlp"),
    ("boosted trees on z", "boosted"),
    ("the other labels alone", "labels_only"),
    ("without those much the same", "labels_only_elsewhere"),
)


def leakage_section(metrics: Metrics, name: str) -> str:
    """Bars, then probes beside their floors, then what is beyond the labels, within strata, and in a decoder's pictures."""
    beyond = list_table(metrics, [*_beyond(name), *_within(metrics, name), *_recovery(name)])
    return (
        f"<h3>What z still tells</h3>{_bars_report_leakage(metrics, name)}{list_table(metrics, _probes(name))}"
        f"<h3>Beyond what goes with it</h3>{beyond}"
    )


def _bars_report_leakage(metrics: Metrics, name: str) -> str:
    keys = [(title, f"leakage.{name}.{key}.balanced_accuracy") for title, key in BARS]
    rows = [(title, metrics[key]) for title, key in keys if key in metrics]
    if not rows:
        return ""
    drawn = bars_with_intervals(rows, 0.5, f"Balanced accuracy of reading {name.replace('_', ' ')}, from chance on")
    return f"<figure>{drawn}<figcaption>Balanced accuracy; lines hold 95 %, the dashed one is chance.</figcaption></figure>"


def _probes(name: str) -> list[Row_report_leakage]:
    key = f"leakage.{name}"
    rows: list[Row_report_leakage] = [
        (f"{word} on z, balanced accuracy", f"{key}.{kind}.balanced_accuracy", share) for kind, word in KINDS
    ]
    rows.append(("chance", f"{key}.linear.chance", share))
    for only, gain, title in (
        ("labels_only", "gain", "floor: the other labels alone"),
        ("labels_only_elsewhere", "gain_over_elsewhere", "floor without labels that say much the same"),
    ):
        for kind, word in KINDS:
            own, more = (only, gain) if kind == "linear" else (f"{only}.{kind}", f"{kind}.{gain}")
            rows.append((f"{title}, {word}", f"{key}.{own}.balanced_accuracy", share))
            rows.append((f"{word}'s gain over that floor", f"{key}.{more}", share))
    return [
        *rows,
        *((f"{word} on a draw of z", f"{key}.sampled.{kind}.balanced_accuracy", share) for kind, word in KINDS[:2]),
        ("information of z on the label, at least (bits)", f"{key}.linear.information_bits", number),
        ("the model's own classifier, balanced accuracy", f"classification.{name}.balanced_accuracy", share),
        ("the model's own classifier, accuracy", f"classification.{name}.accuracy", share),
        ("the judge on these photographs, balanced accuracy", f"judge.{name}.balanced_accuracy", share),
        ("the judge on these photographs, accuracy", f"judge.{name}.accuracy", share),
    ]


def _beyond(name: str) -> list[Row_report_leakage]:
    titles = (("beyond", "z and the other labels"), ("beyond_elsewhere", "the same without labels that say much the same"))
    return [
        (f"{title}, {word}: more than these labels alone", f"leakage.{name}.{key}.{kind}", share)
        for key, title in titles
        for kind, word in KINDS[:2]
    ]


def _within(metrics: Metrics, name: str) -> list[Row_report_leakage]:
    words = {**dict(KINDS), "labels_only": "other labels alone", "labels_only_elsewhere": "those not much the same"}
    start, rows = f"leakage.{name}.within.", []
    for key in metrics.values:
        if key.startswith(start):
            stratum, kind = key.removeprefix(start).split(".")[:2]
            rows.append((f"where {escape(stratum.replace('_', ' '))}: {words[kind]}", key, share))
    return rows


def _recovery(name: str) -> list[Row_report_leakage]:
    return [
        (f"the judge on {title}, area under its ROC curve", f"leakage.{name}.{key}.auroc", share)
        for key, title in (
            ("decoder", "pictures by a fresh decoder of z"),
            ("decoder_told", "those by one that is told the label"),
            ("reconstruction", "reconstructions"),
        )
    ]
