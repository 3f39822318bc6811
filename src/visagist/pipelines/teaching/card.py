"""The card of a taught model: what it was taught from, how well that went, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visagist.evaluation.statistics import Measure
from visagist.latent.direction_types import Direction
from visagist.pipelines.teaching.held_out import HeldOut


def figure(measure: Measure, percent: bool = True) -> str:
    """A figure with its interval, `72 % [55, 85]` or `0.93 [0.85, 0.97]`."""
    if not percent:
        return f"{measure['value']:.2f} [{measure['low']:.2f}, {measure['high']:.2f}]"
    return f"{100 * measure['value']:.0f} % [{100 * measure['low']:.0f}, {100 * measure['high']:.0f}]"


def describe_held_out(name: str, held_out: HeldOut) -> list[str]:
    """The figures on held-out faces in lines for a person."""
    given, taken = held_out.success["+1"], held_out.success["-1"]
    return [
        f"held-out photographs are told apart: area under the ROC curve {figure(held_out.told_apart, False)} "
        f"(0.5 is chance), {held_out.told_apart['n']} photographs",
        f"{name}=1 is read on {figure(given)} of {given['n']} held-out faces without it, on {figure(held_out.base['+1'])} "
        "before",
        f"{name}=-1 is read on {figure(taken)} of {taken['n']} held-out faces with it, on {figure(held_out.base['-1'])} "
        "before",
    ]


def write_card(
    folder: str, base: str, vector: Direction, record: Mapping[str, Any], held_out: HeldOut, warnings: Sequence[str],
    base_card: str | None,
) -> str:  # fmt: skip
    """The card as Markdown; of a shipped model's card the terms are kept."""
    lines = [
        f"# {folder}",
        "",
        f"`{base}`, taught {vector.attribute} from {vector.n_with} photographs with it and {vector.n_without} without, by "
        "`visagist teach`. All else is that model's.",
        "",
        f"- Edit: `visagist edit {folder} me.jpg --set {vector.attribute}=1`",
        f"- Held alike: {', '.join(vector.matched) or 'nothing'}",
        f"- Mirror images: {'used' if record['mirrored'] else 'not used'}; seed {record['seed']}",
        "",
        "## On held-out photographs",
        "",
        "Halves of the photographs, in turn: one fits the vector and its strength (features of judge-64-b), the other is "
        "edited and read by readers on features of judge-64 that have not seen the face. The model here is of all of them. "
        "95 % intervals over faces.",
        "",
        *(f"- {line}" for line in describe_held_out(vector.attribute, held_out)),
        "",
        "No judge knows this attribute: these readers do, who know it from the same few photographs.",
        "",
        "## Beware",
        "",
        *(f"- {line}" for line in warnings),
        *([] if warnings else ["- Nothing was noticed, which does not mean that nothing is there."]),
    ]
    start = (base_card or "").find("## Terms")
    return "\n".join(lines) + "\n" + (f"\n{(base_card or '')[start:].rstrip()}\n" if start >= 0 else "")
