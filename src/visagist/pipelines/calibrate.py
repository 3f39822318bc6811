"""What is fitted to a trained model and stored in its folder: strength of edits, attribute vectors, transport of codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from visagist import judges, methods
from visagist.attributes import offered
from visagist.boundary.terminal import PlainConsole, text_column
from visagist.data import load_data
from visagist.data.crops import CROPS
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.judges import CALIBRATING_JUDGE, load_judge
from visagist.pipelines.plan import Say, silent
from visagist.training import checkpoint
from visagist.training.distributed import pick_device
from visagist.training.states import read_state

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.latent.direction_types import Codes, Direction
    from visagist.latent.optimal_transport import Target, Transported
    from visagist.methods.families.label_conditioned import LabelConditioned

Fitted = TypeVar("Fitted")
Told = Callable[[int, int], None]


def calibrate_run(run: Path, faces: Faces, *, device: str = "auto", show: bool = False, say: Say = silent) -> None:
    """Fit the strength of a run's best/ and last/ on the validation faces, or say why it cannot be."""
    described = checkpoint.read_description(checkpoint.best_of(run))
    capabilities = methods.get(described["name"]).capabilities
    if "edit" not in capabilities and not described.get("vectors"):
        if "autoencode" in capabilities:
            say(
                f"{described['name']} has a code and no edit: give it attribute vectors with visagist vectors {run} --data …"
            )
        return
    wanted, why = _known_to_judge(faces)
    if not wanted:
        say(f"strength is not calibrated: {why}")
        return
    calibrate(run, faces, attributes=wanted, device=device, show=show, say=say)


def _known_to_judge(faces: Faces) -> tuple[list[str], str]:
    """The attributes of faces that the calibrating judge can tell of both classes in validation, or why there are none."""
    if not (judges.ZOO / CALIBRATING_JUDGE / "config.json").exists():
        return [], f"{CALIBRATING_JUDGE} is not in the zoo"
    known = offered(load_judge(CALIBRATING_JUDGE).attributes)
    rows = np.flatnonzero(faces.split == 1)
    both = [name for name in faces.names if len(set(faces.column(name)[rows].tolist())) == 2]
    why = f"{CALIBRATING_JUDGE} does not know {', '.join(both)}" if both else "no validation faces of both classes"
    return [name for name in both if name in known], why


def calibrate(
    model: str | Path,
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    number: int = 300,
    crop: str | None = None,
    device: str = "auto",
    show: bool = False,
    say: Say = silent,
) -> dict[str, Any]:
    """Fit what strengths from -1 to 1 mean for a model, and store it in the model's folder; returns the record.

    It is fitted on up to `number` validation faces of each class, with the judge that never scores. Of a run folder both
    best/ and last/ are fitted, each by its own weights; the record is that of best/.
    """
    from visagist.editing import strength

    judge = load_judge(CALIBRATING_JUDGE, str(pick_device(device)))

    def fit(editor: Editor, part: str) -> dict[str, dict[str, Any]]:
        seen = faces_for(editor.description, data, crop, show)
        with _bar(f"calibrating {part}", show) as told:
            return strength.calibrate(editor, judge, seen, attributes, number, told)

    first: dict[str, Any] = {}
    for folder, record in _fitted(model, device, fit):
        strength.write_strength(folder, record)
        say(f"{folder}: strength calibrated for {', '.join(record)} by {CALIBRATING_JUDGE}")
        first = first or record
    return first


def fit_vectors(
    model: str | Path,
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    number: int = 2000,
    rule: str = "toward",
    match: Sequence[str] = (),
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    calibrated: bool = True,
    show: bool = False,
    say: Say = silent,
) -> list[Direction]:
    """Fit attribute vectors and store them, with their strength, in a model's folder, so that it edits by them.

    attributes  any that the faces are labelled with; by default those that the model was trained with, or all
    number      at most so many training faces of each class for a vector
    rule        how faces are moved along it, toward one place or by one step: see `visagist.latent.attribute_vectors`
    match       labels that both classes of faces are to have alike
    calibrated  fit their strength too, with the judge that never scores
    Of a run folder both best/ and last/ get theirs; returned are those of best/. VisagistError for a model without a code,
    and for one that has an edit of its own.
    """
    from visagist.editing.direction_editor import codes_of
    from visagist.latent.attribute_vectors import fit_vectors as fit_each
    from visagist.latent.attribute_vectors import write_vectors
    from visagist.latent.codes import check_has_codes

    labelled: list[Faces] = []

    def fit(editor: Editor, part: str) -> list[Direction]:
        if "edit" in editor.trained.capabilities:
            raise VisagistError(f"{editor.trained.name} has an edit of its own: compare directions with visagist directions")
        check_has_codes(editor, "attribute vectors")
        faces = faces_for(editor.description, data, crop, show)
        own = [name for name in editor.trained.attributes if name in offered(faces.names)]
        wanted = (own or faces.names) if attributes is None else attributes
        labelled.append(faces.with_attributes(wanted))
        with _bar(f"encoding for {part}", show) as told:

            def codes(rows: NDArray[np.integer]) -> Codes:
                done = 0

                def count(more: int) -> None:
                    nonlocal done
                    done += more
                    told(done, len(rows))

                return codes_of(editor, faces, rows, seed, count)

            return fit_each(faces, codes, wanted, number, seed, rule, match)

    first: list[Direction] = []
    for folder, found in _fitted(model, device, fit):
        write_vectors(folder, found)
        say(f"{folder}: vectors of {', '.join(vector.attribute for vector in found)}")
        first = first or found
    if calibrated:
        calibrate_run(Path(model), labelled[0], device=device, show=show, say=say)
    return first


def factor(
    model: str | Path,
    data: str | Faces,
    *,
    out: str | Path,
    target: Target = "marginal",
    given: Sequence[str] | None = None,
    crop: str | None = None,
    device: str = "auto",
    calibrated: bool = True,
    show: bool = False,
    say: Say = silent,
) -> list[Transported]:
    """Take what tells the attributes out of a label-conditioned model's codes, and write it to the new folder `out`.

    data        labelled faces; the transport is fitted to the codes of their training split
    target      marginal: the code is to tell nothing of an attribute; conditional: nothing beyond what other labels tell
    given       those labels; by default all that neither are nor overlap the attribute
    calibrated  fit how far edits go beyond the mean of a class, and their strength, with the judge that never scores
    The networks stay as they are, and so does what an unedited face is rebuilt as. Raises VisagistError for a model that
    does not decode labels, and where there are too few faces.
    """
    from visagist import pretrained

    found, folder = pretrained.find_model(model), Path(out).expanduser()
    pretrained.check_savable(folder)
    loaded, description = checkpoint.load_model(found.folder)
    method = _with_transport(loaded, found.name, target)
    faces = faces_for(description, data, crop, show)
    facts = _transported(method, faces, target, given, device, found.name, show)
    learned = _learned(method, faces)
    if calibrated:
        facts = _reached(method, learned, facts, device, found.name, show, say)
    pretrained.save(method, _described(method, description, facts), None, folder, half=False)
    _tell(folder, facts, say)
    if calibrated:
        calibrate_run(folder, learned, device=device, show=show, say=say)
    return facts


def factor_run(
    run: Path, faces: Faces, *, device: str = "auto", calibrated: bool = True, show: bool = False, say: Say = silent
) -> None:
    """Fit the transport that a run's settings ask for, of best/ and last/, each by its own weights.

    faces       those that trained it, with all labels that are known of them
    calibrated  fit how far edits go beyond the mean of a class too
    """

    def fit(editor: Editor, part: str) -> tuple[LabelConditioned, list[Transported]]:
        target: Target = editor.trained.config.transport
        method = _with_transport(editor.trained, part, target)
        facts = _transported(method, faces, target, None, device, part, show)
        if calibrated:
            facts = _reached(method, _learned(method, faces), facts, device, part, show, say)
        return method, facts

    for folder, (method, facts) in _fitted(run, device, fit):
        description = checkpoint.read_description(folder)
        state = read_state(folder) if (folder / "training_state.json").exists() else None
        weights = {**checkpoint.read_weights(folder, description), **_of_transport(method)}
        checkpoint.save_model(folder, _described(method, description, facts), weights, state=state)
        _tell(folder, facts, say)


def _with_transport(loaded: Any, name: str, target: Target) -> LabelConditioned:
    """The same method with a transport that changes nothing yet."""
    from visagist.methods.families.label_conditioned import LabelConditioned

    if not isinstance(loaded, LabelConditioned):
        able = ", ".join(key for key, cls in methods.available().items() if issubclass(cls, LabelConditioned))
        raise VisagistError(f"{name} ({loaded.name}) decodes no labels beside its code, so none is taken out: {able} do")
    config = dataclasses.replace(loaded.config, transport=target)
    method = type(loaded)(config, loaded.attributes, loaded.image_size)
    method.load_state_dict({k: v for k, v in loaded.state_dict().items() if not k.startswith("transport.")}, strict=False)
    return method.eval().requires_grad_(False)


def _learned(method: LabelConditioned, faces: Faces) -> Faces:
    """The faces with the labels alone that the method knows."""
    return faces.with_attributes([name for name in method.attributes if name in offered(faces.names)])


def _transported(
    method: LabelConditioned,
    faces: Faces,
    target: Target,
    given: Sequence[str] | None,
    device: str,
    name: str,
    show: bool,
) -> list[Transported]:
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import fit_transport, read_codes

    rows = faces.indices("train")
    with _bar(f"encoding for {name}", show) as told:
        codes, probabilities = read_codes(Editor(method, device=device), faces, rows, told)
    method.cpu()
    # Only the labels matter now, so the pixels are left where they are.
    return fit_transport(method, codes, probabilities, dataclasses.replace(faces, labels=faces.labels[rows]), target, given)


def _reached(
    method: LabelConditioned, faces: Faces, facts: list[Transported], device: str, name: str, show: bool, say: Say
) -> list[Transported]:
    """The facts with how far edits go, once that is fitted for the attributes that the calibrating judge knows."""
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import fit_reach

    wanted, why = _known_to_judge(faces)
    if not wanted:
        say(f"edits go to the mean of a class: {why}")
        return facts
    judge = load_judge(CALIBRATING_JUDGE, str(pick_device(device)))
    with _bar(f"how far edits of {name} go", show) as told:
        found = fit_reach(Editor(method, device=device), judge, faces, wanted, told=told)
    method.cpu()
    return [
        dataclasses.replace(fact, reach=found[fact.attribute][0], seen=found[fact.attribute][1])
        if fact.attribute in found
        else fact
        for fact in facts
    ]


def _of_transport(method: LabelConditioned) -> dict[str, Any]:
    return {key: value for key, value in method.state_dict().items() if key.startswith("transport.")}


def _described(method: LabelConditioned, description: Mapping[str, Any], facts: Sequence[Transported]) -> dict[str, Any]:
    """Strength is of the edits as they were, so it goes."""
    told = [dataclasses.asdict(fact) for fact in facts]
    return {**description, "config": method.config_dict(), "transport": told, "strength": None}


def _tell(folder: Path, facts: Sequence[Transported], say: Say) -> None:
    for fact in facts:
        beyond = f" beyond {len(fact.given)} other labels" if fact.given else ""
        say(f"{folder}: {fact.attribute} taken out of the code{beyond}, {fact.distance:.2f} deviations between the means")
        for way, reach, seen in zip(("without", "with"), fact.reach, fact.seen or ()):
            say(f"{folder}: edits to faces {way} {fact.attribute} go {reach:g} beyond their mean, and {seen:.1%} are seen")


def _fitted(model: str | Path, device: str, fit: Callable[[Editor, str], Fitted]) -> Iterator[tuple[Path, Fitted]]:
    """The folders of a model and what `fit` made of their weights and name, once where they have the same weights."""
    from visagist.editing.editor import Editor

    found: dict[str, Fitted] = {}
    for folder in _own_folders(model):
        weights = checkpoint.read_description(folder)["weights_sha256"]
        if weights not in found:
            found[weights] = fit(Editor.from_pretrained(folder, device), folder.name)
        yield folder, found[weights]


@contextmanager
def _bar(title: str, show: bool) -> Iterator[Told]:
    """A bar that is told how many of how many are done; begun after the faces are loaded, which have a bar of their own."""
    columns = (text_column("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=PlainConsole(stderr=True), disable=not show) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _own_folders(model: str | Path) -> list[Path]:
    """The model folders that a run folder or a model folder holds; only those on this disk can be written."""
    from visagist.pretrained import HUB, find_model

    if str(model).startswith(HUB):
        raise VisagistError(f"{model} is a download: save it to a folder with Editor.save and calibrate that")
    found = find_model(model).folder
    parts = [Path(model) / part for part in ("best", "last")]
    return [part for part in parts if part.is_dir()] if found in parts else [found]


def faces_for(description: Mapping[str, Any], data: str | Faces, crop: str | None, show: bool) -> Faces:
    """The faces as a model sees them: at its size; of CelebA's pictures in its own crop, unless another is named."""
    if isinstance(data, Faces):
        return data
    trained = description.get("crop")
    if crop is None and data.startswith("celeba:") and trained in CROPS:
        crop = trained
    return load_data(data, image_size=description["image_size"], crop=crop, progress=show)
