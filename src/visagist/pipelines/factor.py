"""A factored model of a trained one: its codes moved so that they tell an attribute no longer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist import methods
from visagist.attributes import with_derived
from visagist.checkpoints import checkpoint
from visagist.checkpoints.states import read_state
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.judges import CALIBRATING_JUDGE, load_judge
from visagist.latent.backend import trained_method
from visagist.pipelines.calibrate import attributes_to_calibrate, calibrate_run, faces_for, fit_each_part
from visagist.pipelines.plan import Say, silent
from visagist.progress import progress_of
from visagist.training.distributed import pick_device

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import Target, Transported
    from visagist.methods.families.label_conditioned import LabelConditioned


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

    source, folder = pretrained.find_model(model), Path(out).expanduser()
    checkpoint.check_savable(folder)
    loaded, description = checkpoint.load_model(source.folder)
    method = _with_transport(loaded, source.name, target)
    faces = faces_for(description, data, crop, show)
    facts = _fit_transport(method, faces, target, given, device, source.name, show)
    learned = _known_labels(method, faces)
    if calibrated:
        facts = _fit_extent(method, learned, facts, device, source.name, show, say)
    checkpoint.save_inference_model(method, _description(method, description, facts), None, folder, half=False)
    _report(folder, facts, say)
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
        trained = trained_method(editor, "the class transport")
        target: Target = trained.config.transport
        method = _with_transport(trained, part, target)
        facts = _fit_transport(method, faces, target, None, device, part, show)
        if calibrated:
            facts = _fit_extent(method, _known_labels(method, faces), facts, device, part, show, say)
        return method, facts

    for folder, (method, facts) in fit_each_part(run, device, fit):
        description = checkpoint.read_description(folder)
        state = read_state(folder) if (folder / "training_state.json").exists() else None
        weights = {**checkpoint.read_weights(folder, description), **_transport_state(method)}
        checkpoint.save_model(folder, _description(method, description, facts), weights, state=state)
        _report(folder, facts, say)


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


def _known_labels(method: LabelConditioned, faces: Faces) -> Faces:
    """The faces with the labels alone that the method knows."""
    return faces.with_attributes([name for name in method.attributes if name in with_derived(faces.names)])


def _fit_transport(
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
    with progress_of(show, f"encoding for {name}") as bar:
        codes, probabilities = read_codes(Editor(method, device=device), faces, rows, bar)
    method.cpu()
    # Only the labels matter now, so the pixels are left where they are.
    return fit_transport(method, codes, probabilities, dataclasses.replace(faces, labels=faces.labels[rows]), target, given)


def _fit_extent(
    method: LabelConditioned, faces: Faces, facts: list[Transported], device: str, name: str, show: bool, say: Say
) -> list[Transported]:
    """The facts with how far edits go, once that is fitted for the attributes that the calibrating judge knows."""
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import fit_edit_extent

    judged, why = attributes_to_calibrate(faces)
    if not judged:
        say(f"edits go to the mean of a class: {why}")
        return facts
    judge = load_judge(CALIBRATING_JUDGE, str(pick_device(device)))
    with progress_of(show, f"how far edits of {name} go") as bar:
        extents = fit_edit_extent(Editor(method, device=device), judge, faces, judged, progress=bar)
    method.cpu()
    return [
        dataclasses.replace(fact, reach=extents[fact.attribute][0], seen=extents[fact.attribute][1])
        if fact.attribute in extents
        else fact
        for fact in facts
    ]


def _transport_state(method: LabelConditioned) -> dict[str, Any]:
    return {key: value for key, value in method.state_dict().items() if key.startswith("transport.")}


def _description(method: LabelConditioned, description: Mapping[str, Any], facts: Sequence[Transported]) -> dict[str, Any]:
    """Strength is of the edits as they were, so it goes."""
    stored = [dataclasses.asdict(fact) for fact in facts]
    return {**description, "config": method.config_dict(), "transport": stored, "strength": None}


def _report(folder: Path, facts: Sequence[Transported], say: Say) -> None:
    for fact in facts:
        beyond = f" beyond {len(fact.given)} other labels" if fact.given else ""
        say(f"{folder}: {fact.attribute} taken out of the code{beyond}, {fact.distance:.2f} deviations between the means")
        for way, reach, seen in zip(("without", "with"), fact.reach, fact.seen or ()):
            say(f"{folder}: edits to faces {way} {fact.attribute} go {reach:g} beyond their mean, and {seen:.1%} are seen")
