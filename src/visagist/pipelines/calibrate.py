"""What is fitted to a trained model and stored in its folder: strength of edits, attribute vectors, transport of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from visagist import methods
from visagist.attributes import with_derived
from visagist.checkpoints import checkpoint
from visagist.data import load_data
from visagist.data.crops import CROPS
from visagist.data.faces import Faces
from visagist.data.sources import sample_data
from visagist.errors import VisagistError
from visagist.judges import CALIBRATING_JUDGE, judges_of_strength, load_judge
from visagist.pipelines.untrained import mark_untrained
from visagist.pretrained import shipped_folder
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.training.distributed import pick_device

if TYPE_CHECKING:
    from visagist.editing.editor import Editor


Fitted = TypeVar("Fitted")


def calibrate_run(
    run: Path, faces: Faces, progress: Progress, *, device: str = "auto", untrained_too: bool = True
) -> None:
    """Fit the strength of a run's best/ and last/ on the validation faces, or say why it cannot be.

    Unless `untrained_too`, a model that draws no faces yet is said to be untrained, and left as it is.
    """
    described = checkpoint.read_description(checkpoint.best_checkpoint(run))
    capabilities = methods.get(described["name"]).capabilities
    if "edit" not in capabilities and not described.get("vectors"):
        if "autoencode" in capabilities:
            progress.message(
                f"{described['name']} has a code and no edit: give it attribute vectors with visagist vectors {run} --data …"
            )
        return
    reasons = {folder: mark_untrained(folder, faces, device) for folder in _own_folders(run)}
    reason = reasons[checkpoint.best_checkpoint(run)]
    if reason is not None:
        progress.message(f"{run} is untrained: {reason}; train it longer: --resume and a larger budget")
    judged, why = attributes_to_calibrate(faces)
    if not judged:
        progress.message(f"strength is not calibrated: {why}")
        return
    if reason is not None and not untrained_too:
        progress.message("its strength is not calibrated; --calibrate does so all the same")
        return
    calibrate(run, faces, attributes=judged, device=device, progress=progress)


def attributes_to_calibrate(faces: Faces) -> tuple[list[str], str]:
    """The attributes of faces that the calibrating judge can tell of both classes in validation, or why there are none."""
    if shipped_folder(CALIBRATING_JUDGE) is None:
        return [], f"{CALIBRATING_JUDGE} is not in the zoo"
    known = with_derived(load_judge(CALIBRATING_JUDGE).attributes)
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
    judges: Sequence[str | Path] | None = None,
    crop: str | None = None,
    device: str = "auto",
    progress: ProgressLike = None,
) -> dict[str, Any]:
    """Fit what strengths from -1 to 1 mean for a model, and store it in the model's folder; returns the record.

    It is fitted on up to `number` validation faces of each class, with `judges`, which never score; None are
    `judges_of_strength()`, and of several the one that asks for more decides. Of a run folder both best/ and last/ are
    fitted, each by its own weights; the record is that of best/. VisagistError for a judge that scores.
    """
    from visagist.editing import strength

    place = str(pick_device(device))
    fitting = [load_judge(name, place) for name in (judges_of_strength() if judges is None else judges)]

    def fit(editor: Editor, part: str) -> dict[str, dict[str, Any]]:
        seen = faces_for(editor.description, data, crop, shown)
        shown.stage(f"calibrating {part}")
        record = strength.calibrate(editor, fitting, seen, attributes, number, shown)
        shown.finish()
        return record

    first: dict[str, Any] = {}
    with progress_of(progress) as shown:
        for folder, record in fit_each_part(model, device, fit):
            strength.write_strength(folder, record)
            by = " and ".join(Path(judge.name).name for judge in fitting)
            shown.message(f"{folder}: strength calibrated for {', '.join(record)} by {by}")
            first = first or record
    return first


def fit_each_part(model: str | Path, device: str, fit: Callable[[Editor, str], Fitted]) -> Iterator[tuple[Path, Fitted]]:
    """The folders of a model and what `fit` made of their weights and name, once where they have the same weights."""
    from visagist.editing.editor import Editor

    fitted: dict[str, Fitted] = {}
    for folder in _own_folders(model):
        weights = checkpoint.read_description(folder)["weights_sha256"]
        if weights not in fitted:
            fitted[weights] = fit(Editor.from_pretrained(folder, device), folder.name)
        yield folder, fitted[weights]


def _own_folders(model: str | Path) -> list[Path]:
    """The model folders that a run folder or a model folder holds; only those on this disk can be written."""
    from visagist.pretrained import HUB, find_model

    if str(model).startswith(HUB):
        raise VisagistError(f"{model} is a download: save it to a folder with Editor.save and calibrate that")
    folder = find_model(model).folder
    parts = [Path(model) / part for part in ("best", "last")]
    return [part for part in parts if part.is_dir()] if folder in parts else [folder]


def sample_for(
    description: Mapping[str, Any], source: str, crop: str | None, split: str, number: int, seed: int, progress: ProgressLike
) -> Faces:
    """At least `number` faces of a split as a model sees them, where the source has them; not all need to be decoded."""
    trained = description.get("crop")
    if crop is None and source.startswith("celeba:") and trained in CROPS:
        crop = trained
    return sample_data(
        source, number, split=split, seed=seed, image_size=description["image_size"], crop=crop, progress=progress
    )


def faces_for(description: Mapping[str, Any], data: str | Faces, crop: str | None, progress: ProgressLike) -> Faces:
    """The faces as a model sees them: at its size; of CelebA's pictures in its own crop, unless another is named."""
    if isinstance(data, Faces):
        return data
    trained = description.get("crop")
    if crop is None and data.startswith("celeba:") and trained in CROPS:
        crop = trained
    return load_data(data, image_size=description["image_size"], crop=crop, progress=progress)
