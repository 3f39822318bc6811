"""The page of attribute recognition: every attribute by every view, beside what was published."""

from __future__ import annotations

from collections.abc import Sequence

from visagist.attributes import CELEBA_ATTRIBUTES
from visagist.evaluation.results import Metrics
from visagist.reports.html import render, words
from visagist.reports.tables import Table, TableRow, share

# Accuracies in percent on CelebA's 40 attributes in their usual order, and their mean as it is printed: Hou, Sun, Shen and
# Qiu (2019, arXiv:1906.01984), Table 1, on 20 000 test faces, fitted with all 162 770 training faces.
_TABLE_1 = {
    "FaceTracer": "85 76 78 76 89 88 64 74 70 80 81 60 80 86 88 98 93 90 85 84 91 "
    "87 91 82 90 64 83 68 76 84 94 89 63 73 73 89 89 68 86 80 81.13",
    "PANDA-w": "82 73 77 71 92 89 61 70 74 81 77 69 76 82 85 94 86 88 84 80 93 "
    "82 83 79 87 62 84 65 82 81 90 89 67 76 72 91 88 67 88 77 79.85",
    "PANDA-1": "88 78 81 79 96 92 67 75 85 93 86 77 86 86 88 98 93 94 90 86 97 "
    "93 93 84 93 65 91 71 85 87 93 92 69 77 78 96 93 67 91 84 85.43",
    "LNets+ANet": "91 79 81 79 98 95 68 78 88 95 84 80 90 91 92 99 95 97 90 87 98 "
    "92 95 81 95 66 91 72 89 90 96 92 73 80 82 99 93 71 93 87 87.30",
    "VAE-123": "89 77 75 81 98 91 76 79 83 92 95 80 87 94 95 96 94 96 85 81 90 "
    "80 96 89 88 73 96 73 92 94 95 87 79 74 82 96 88 88 93 81 86.95",
    "VAE-345": "89 80 78 82 98 95 77 81 85 93 95 80 88 94 96 99 95 97 89 85 95 "
    "88 96 89 91 74 96 74 92 94 96 91 80 79 84 98 91 88 93 84 88.73",
    "VGG-FC": "83 71 68 73 97 81 51 77 78 88 94 67 81 93 93 95 93 94 79 64 84 "
    "60 93 87 84 66 96 58 86 93 85 65 68 70 49 98 82 87 89 74 79.85",
    "VAE-WGAN": "90 80 79 82 98 95 77 81 86 94 95 82 89 95 96 98 95 97 88 85 94 "
    "85 96 89 91 74 97 74 92 94 96 91 80 80 85 99 91 88 93 84 88.88",
}
PUBLISHED = {row: [float(value) for value in text.split()] for row, text in _TABLE_1.items()}


def published(row: str, attribute: str | None) -> float | None:
    """A published accuracy in percent; of no attribute, the mean; None for what is not in the table."""
    if attribute is None:
        return PUBLISHED[row][-1]
    return PUBLISHED[row][CELEBA_ATTRIBUTES.index(attribute)] if attribute in CELEBA_ATTRIBUTES else None


def recognition_page(metrics: Metrics) -> str:
    """Return the page of recognition: every attribute by every view, beside what was published on CelebA."""
    celeba = str(metrics.manifest["data"]["source"]).startswith("celeba")
    return render(
        "recognition.html", title="Attribute recognition by linear SVMs on codes", manifest_json=metrics.manifest,
        accuracy=_table(metrics, "accuracy", list(PUBLISHED) if celeba else []),
        balanced=_table(metrics, "balanced_accuracy", []), reasons=metrics.not_computed,
    )  # fmt: skip


def _table(metrics: Metrics, measure: str, methods: Sequence[str]) -> Table:
    """A measure of every attribute by every view, beside the published accuracy of these methods."""
    views = metrics.manifest["views"]
    rows: list[TableRow] = []
    for attribute in (None, *metrics.manifest["attributes"]):
        name = measure if attribute is None else f"{attribute}.{measure}"
        figures = [share(metrics.values.get(f"recognition.{view}.{name}")) for view in views]
        beside = [published(method, attribute) for method in methods]
        cells = ["–" if value is None else f"{value:g} %" for value in beside]
        rows.append(["mean" if attribute is None else words(attribute), *figures, *cells])
    return Table(["", *views, *(f"{method}, published" for method in methods)], rows)
