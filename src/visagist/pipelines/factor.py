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
from visagist.progress import Progress, ProgressLike, progress_of
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
    progress: ProgressLike = None,
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
    with progress_of(progress) as shown:
        faces = faces_for(description, data, crop, shown)
        facts = _fit_transport(method, faces, target, given, device, source.name, shown)
        learned = _known_labels(method, faces)
        if calibrated:
            facts = _fit_extent(method, learned, facts, device, source.name, shown)
        checkpoint.save_inference_model(method, _description(method, description, facts), None, folder, half=False)
        _report(folder, facts, shown)
        if calibrated:
            calibrate_run(folder, learned, shown, device=device)
    return facts


def factor_run(
    run: Path, faces: Faces, progress: Progress, *, device: str = "auto", calibrated: bool = True
) -> None:
    """Fit the transport that a run's settings ask for, of best/ and last/, each by its own weights.

    faces       those that trained it, with all labels that are known of them
    calibrated  fit how far edits go beyond the mean of a class too
    """

    def fit(editor: Editor, part: str) -> tuple[LabelConditioned, list[Transported]]:
        trained = trained_method(editor, "the class transport")
        target: Target = trained.config.transport
        method = _with_transport(trained, part, target)
        facts = _fit_transport(method, faces, target, None, device, part, progress)
        if calibrated:
            facts = _fit_extent(method, _known_labels(method, faces), facts, device, part, progress)
        return method, facts

    for folder, (method, facts) in fit_each_part(run, device, fit):
        description = checkpoint.read_description(folder)
        state = read_state(folder) if (folder / "training_state.json").exists() else None
        weights = {**checkpoint.read_weights(folder, description), **_transport_state(method)}
        checkpoint.save_model(folder, _description(method, description, facts), weights, state=state)
        _report(folder, facts, progress)


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
    progress: Progress,
) -> list[Transported]:
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import fit_transport, read_codes

    rows = faces.indices("train")
    progress.stage(f"encoding for {name}")
    codes, probabilities = read_codes(Editor(method, device=device), faces, rows, progress)
    progress.finish()
    method.cpu()
    # Only the labels matter now, so the pixels are left where they are.
    return fit_transport(method, codes, probabilities, dataclasses.replace(faces, labels=faces.labels[rows]), target, given)


def _fit_extent(
    method: LabelConditioned, faces: Faces, facts: list[Transported], device: str, name: str, progress: Progress
) -> list[Transported]:
    """The facts with how far edits go, once that is fitted for the attributes that the calibrating judge knows."""
    from visagist.editing.editor import Editor
    from visagist.latent.optimal_transport import fit_edit_extent

    judged, why = attributes_to_calibrate(faces)
    if not judged:
        progress.message(f"edits go to the mean of a class: {why}")
        return facts
    judge = load_judge(CALIBRATING_JUDGE, str(pick_device(device)))
    progress.stage(f"how far edits of {name} go")
    extents = fit_edit_extent(Editor(method, device=device), judge, faces, judged, progress=progress)
    progress.finish()
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


def _report(folder: Path, facts: Sequence[Transported], progress: Progress) -> None:
    for fact in facts:
        beyond = f" beyond {len(fact.given)} other labels" if fact.given else ""
        apart = f"{fact.distance:.2f} deviations between the means"
        progress.message(f"{folder}: {fact.attribute} taken out of the code{beyond}, {apart}")
        for way, reach, seen in zip(("without", "with"), fact.reach, fact.seen or ()):
            extent = f"go {reach:g} beyond their mean, and {seen:.1%} are seen"
            progress.message(f"{folder}: edits to faces {way} {fact.attribute} {extent}")
