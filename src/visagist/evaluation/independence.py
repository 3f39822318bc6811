"""Nothing is judged by what trained or calibrated it, nor on faces that trained it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from visagist.checkpoints import checkpoint
from visagist.data.faces import Faces
from visagist.data.membership import count_members
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import JudgeLike
from visagist.judges import CALIBRATING_JUDGE
from visagist.latent.backend import optional_method
from visagist.pretrained import shipped_folder

OVERRIDE = "or give --allow-dependent, which the report says on top"
ANOTHER = "give another judge, such as judge-64"
Description = Mapping[str, Any]


def calibrating_judges(editor: Editor) -> list[str]:
    """Names of the judges that fitted the model's strength."""
    maps = [strength for ways in editor.strength_maps.values() for strength in ways.values()]
    return sorted({strength.judge for strength in maps if strength.judge is not None})


def check_independence(
    editor: Editor,
    judge: JudgeLike | None,
    faces: Faces | None = None,
    rows: NDArray[np.integer] | None = None,
    *,
    others: Sequence[object] = (),
    allowed: bool = False,
) -> list[str]:
    """What makes a judgement of this model depend on what trained it, of the faces of these rows; [] where nothing does.

    others   further networks that read what the model makes, such as a feature network; those with `sha256` are looked at

    Raises VisagistError for the first of them, unless it is `allowed`.
    """
    found = list(_by_judge(editor, judge)) if judge is not None else []
    found += _by_networks(editor, others)
    if faces is not None and rows is not None:
        found += seen_before(editor.name, editor.description, faces, rows)
        if judge is not None:
            found += seen_before(judge.name, judge.description, faces, rows)
    if found and not allowed:
        what, remedy = found[0]
        raise VisagistError(f"{what}: {remedy}, {OVERRIDE}")
    return [what for what, _ in found]


def check_unseen(name: str, description: Description, faces: Faces, rows: NDArray[np.integer], allowed: bool) -> list[str]:
    """`check_independence` of what is measured without a judge: only faces that trained it are refused."""
    found = list(seen_before(name, description, faces, rows))
    if found and not allowed:
        raise VisagistError(f"{found[0][0]}: {found[0][1]}, {OVERRIDE}")
    return [what for what, _ in found]


def check_two_judges(judge: JudgeLike, calibrator: JudgeLike) -> None:
    """Raise VisagistError if one judge would both fit the strength of edits and score them."""
    weights = judge.description.get("weights_sha256")
    same = weights is not None and weights == calibrator.description.get("weights_sha256")
    if same or judge.name == calibrator.name or same_make(judge.description, calibrator.description):
        raise VisagistError(f"{judge.name} would fit strength and score it: {ANOTHER}")


def same_make(first: Description, second: Description) -> bool:
    """Whether two networks were made alike: the same architecture, and the same seed."""
    makes = [
        (d.get("name"), (d.get("config") or {}).get("architecture"), (d.get("training") or {}).get("seed"))
        for d in (first, second)
    ]
    return makes[0] == makes[1] and None not in makes[0]


def independence_facts(editor: Editor, judge: JudgeLike | None, dependent: Sequence[str]) -> dict[str, Any]:
    """For a manifest: what makes the figures dependent, and whether it is recorded which faces trained whom."""
    described = {editor.name: editor.description, **({} if judge is None else {judge.name: judge.description})}
    recorded = {name: "recorded" if d.get("seen") else "not recorded" for name, d in described.items()}
    return {"dependent": list(dependent), "training_faces": recorded, "borrowed": dict(_borrowed(editor))}


def notes_on_dependence(dependent: Sequence[str]) -> list[str]:
    """What stands above all other notes of a report."""
    return [f"not independent, and allowed by --allow-dependent: {what}" for what in dependent]


def seen_before(name: str, description: Description, faces: Faces, rows: NDArray[np.integer]) -> Iterator[tuple[str, str]]:
    """Whether what is so described was trained on faces of these rows, and what to do; nothing where it is not recorded."""
    trained, record = description.get("data") or {}, description.get("seen")
    if relation(trained, faces.manifest) != SAME or trained.get("seed") != faces.manifest.get("seed"):
        return
    number = int((faces.split[rows] == 0).sum()) if record is None else count_members(record, faces, rows)
    if number:
        what = "of the split that trained" if record is None else "among those that trained"
        yield f"{number} or more of these {len(rows)} faces are {what} {name}", "take the test split, or other faces"


def _by_judge(editor: Editor, judge: JudgeLike) -> Iterator[tuple[str, str]]:
    weights = judge.description.get("weights_sha256")
    fitted = calibrating_judges(editor)
    if judge.name == CALIBRATING_JUDGE:
        yield f"{judge.name} calibrates strength and never scores", ANOTHER
    elif judge.name in fitted:
        yield f"{judge.name} fitted the strength of {editor.name}, so it may not score it", ANOTHER
    else:
        alike = [name for name in fitted if same_make(judge.description, _description(name))]
        if alike:
            what = f"{judge.name} has the architecture and the seed of {alike[0]}"
            yield f"{what}, which fitted the strength of {editor.name}", ANOTHER
    method = optional_method(editor)
    own = set() if method is None else {id(p) for p in method.parameters()}
    theirs = [p for m in vars(judge).values() if isinstance(m, nn.Module) for p in m.parameters()]
    same = weights is not None and weights == editor.description.get("weights_sha256")
    if same or any(id(p) in own for p in theirs) or same_make(judge.description, editor.description):
        yield f"{judge.name} is a network of {editor.name} itself", "give an independent judge, such as judge-64"
    if weights is not None and weights in _borrowed(editor).values():
        yield f"{judge.name} is in the training loss of {editor.name}", ANOTHER


def _by_networks(editor: Editor, others: Sequence[object]) -> Iterator[tuple[str, str]]:
    lent = {weights: name for name, weights in _borrowed(editor).items()}
    for network in others:
        name = lent.get(str(getattr(network, "sha256", None)))
        if name is not None:
            what = f"{getattr(network, 'name', name)} is in the training loss of {editor.name} ({name})"
            yield what, "give another network"


def _borrowed(editor: Editor) -> Mapping[str, str]:
    """Networks that the training loss used, by name, with the SHA-256 of their weights."""
    return editor.description.get("borrowed") or {}


def _description(judge: str) -> Description:
    """The description of a shipped judge; nothing for others, of which only the name is recorded."""
    folder = shipped_folder(judge)
    return {} if folder is None else checkpoint.read_description(folder)


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
