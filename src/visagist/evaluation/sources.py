"""Whether a model is measured on faces of the source that trained it, or of another one: then its figures say how it
generalises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ONE_OF_A_KIND = ("celeba", "cifar10", "synthetic")  # every copy, part or number of these is one source
SAME, OTHER, UNKNOWN = "same", "other", "unknown"


def relation(trained: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> str:
    """`same`, `other` or `unknown`, of the manifest of the faces that trained a model and of those that it is shown.

    Copies and parts of CelebA are one source, and so are drawn faces in any number. Folders and parquet files are one
    where they have the same name or the same content; a pack is what it was made of. Unknown where nothing was recorded.
    """
    first, second = (str((facts or {}).get("source") or "") for facts in (trained, seen))
    if not first or not second:
        return UNKNOWN
    kinds = [source.partition(":")[0] for source in (first, second)]
    if kinds[0] == kinds[1] and (kinds[0] in ONE_OF_A_KIND or first == second):
        return SAME
    prints = [(facts or {}).get("fingerprint") for facts in (trained, seen)]
    return SAME if prints[0] is not None and prints[0] == prints[1] else OTHER


def notes_on_source(
    model: Mapping[str, Any] | None, judge: Mapping[str, Any] | None, judge_name: str, seen: Mapping[str, Any]
) -> list[str]:
    """What a reader must know of where these faces come from, of the data that trained model and judge; mostly nothing."""
    notes, found = [], relation(model, seen)
    if found == OTHER:
        assert model is not None
        notes.append(
            f"these faces are from another source, {_named(seen)}, than those that trained the model, {_named(model)}: "
            "every figure here says how the model generalises to them"
        )
    elif found == UNKNOWN:
        notes.append("it is not recorded which faces trained the model: whether these are of their source cannot be said")
    if relation(judge, seen) == OTHER:
        assert judge is not None
        notes.append(
            f"{judge_name} was trained on another source than these, {_named(judge)}: read its own accuracy here first"
        )
    return notes


def _named(facts: Mapping[str, Any]) -> str:
    crop = facts.get("crop")
    return str(facts.get("source")) + (f" (crop {crop})" if crop else "")
