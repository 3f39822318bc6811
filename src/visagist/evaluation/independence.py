"""Checks that no judge trained or calibrated the model that it judges, and that no measured face trained either."""

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
from visagist.judges.reading import CALIBRATING_JUDGES
from visagist.latent.backend import optional_method
from visagist.pretrained import shipped_folder

OVERRIDE = "or give --allow-dependent, which the report says on top"
ANOTHER = "give another judge, such as judge-64"
Description = Mapping[str, Any]


def calibrating_judges(editor: Editor) -> list[str]:
    """Names of the judges that the model's strength is calibrated by."""
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
    """What makes a judgement of this model on the faces of these rows dependent on its training; [] if nothing does.

    others   further networks that read the model's images, such as a feature network; those with `sha256` are checked

    Raises VisagistError for the first dependence, unless `allowed`.
    """
    dependences = list(_by_judge(editor, judge)) if judge is not None else []
    dependences += _by_networks(editor, others)
    if faces is not None and rows is not None:
        dependences += seen_before(editor.name, editor.description, faces, rows)
        if judge is not None:
            dependences += seen_before(judge.name, judge.description, faces, rows)
    return _allow_or_raise(dependences, allowed)


def check_unseen(name: str, description: Description, faces: Faces, rows: NDArray[np.integer], allowed: bool) -> list[str]:
    """`check_independence` of a measurement without a judge: only faces that trained the model are refused."""
    return _allow_or_raise(list(seen_before(name, description, faces, rows)), allowed)


def _allow_or_raise(dependences: Sequence[tuple[str, str]], allowed: bool) -> list[str]:
    """What is dependent; raises VisagistError for the first, with its remedy, unless `allowed`."""
    if dependences and not allowed:
        what, remedy = dependences[0]
        raise VisagistError(f"{what}: {remedy}, {OVERRIDE}")
    return [what for what, _ in dependences]


def check_two_judges(judge: JudgeLike, calibrator: JudgeLike) -> None:
    """Raise VisagistError if one judge would both calibrate the strength of edits and score them."""
    weights = judge.description.get("weights_sha256")
    same = weights is not None and weights == calibrator.description.get("weights_sha256")
    if same or judge.name == calibrator.name or same_make(judge.description, calibrator.description):
        raise VisagistError(f"{judge.name} would fit strength and score it: {ANOTHER}")


def same_make(first: Description, second: Description) -> bool:
    """Whether two networks have the same name, architecture and training seed."""
    makes = [
        (d.get("name"), (d.get("config") or {}).get("architecture"), (d.get("training") or {}).get("seed"))
        for d in (first, second)
    ]
    return makes[0] == makes[1] and None not in makes[0]


def independence_facts(editor: Editor, judge: JudgeLike | None, dependent: Sequence[str]) -> dict[str, Any]:
    """For a manifest: what makes the metrics dependent, and for which networks the training faces are recorded."""
    described = {editor.name: editor.description, **({} if judge is None else {judge.name: judge.description})}
    recorded = {name: "recorded" if d.get("seen") else "not recorded" for name, d in described.items()}
    return {"dependent": list(dependent), "training_faces": recorded, "borrowed": dict(_borrowed(editor))}


def notes_on_dependence(dependent: Sequence[str]) -> list[str]:
    """The first notes of a report: each dependence that was allowed."""
    return [f"not independent, and allowed by --allow-dependent: {what}" for what in dependent]


def seen_before(name: str, description: Description, faces: Faces, rows: NDArray[np.integer]) -> Iterator[tuple[str, str]]:
    """The dependence and its remedy, if the described network was trained on faces of these rows; none if unrecorded."""
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
    if judge.name in CALIBRATING_JUDGES:
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
    """The SHA-256 of the weights of each network that the training loss uses, by name."""
    return editor.description.get("borrowed") or {}


def _description(judge: str) -> Description:
    """The description of a shipped judge; {} for other judges, of which only the name is recorded."""
    folder = shipped_folder(judge)
    return {} if folder is None else checkpoint.read_description(folder)


ONE_OF_A_KIND = ("celeba", "cifar10", "synthetic")  # every copy, part or number of faces of these is one source
SAME, OTHER, UNKNOWN = "same", "other", "unknown"


def relation(trained: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> str:
    """`same`, `other` or `unknown`: the source of a model's training faces and of the faces it is shown, by their manifests.

    Copies and parts of CelebA are one source, and so are drawn faces in any number. Folders and parquet files are one source
    if they have the same name or the same content; a pack has the source of its faces. Unknown if nothing is recorded.
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
    """Notes on faces of another source than the training data of the model or the judge; often none."""
    notes, source = [], relation(model, seen)
    if source == OTHER:
        assert model is not None
        notes.append(
            f"these faces are from another source, {_named(seen)}, than those that trained the model, {_named(model)}: "
            "every figure here says how the model generalises to them"
        )
    elif source == UNKNOWN:
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
