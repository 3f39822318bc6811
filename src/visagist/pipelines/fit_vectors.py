"""Attribute vectors of a trained run, kept with its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import with_derived
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.latent.backend import trained_method
from visagist.pipelines.calibrate import calibrate_run, faces_for, fit_each_part
from visagist.progress import ProgressLike, progress_of

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.latent.direction_types import Codes, Direction


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
    progress: ProgressLike = None,
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
        method = trained_method(editor, "an attribute vector")
        if "edit" in method.capabilities:
            raise VisagistError(f"{method.name} has an edit of its own: compare directions with visagist directions")
        check_has_codes(editor, "attribute vectors")
        faces = faces_for(editor.description, data, crop, shown)
        own = [name for name in method.attributes if name in with_derived(faces.names)]
        names = (own or faces.names) if attributes is None else attributes
        labelled.append(faces.with_attributes(names))

        def encode(rows: NDArray[np.integer]) -> Codes:
            shown.stage(f"encoding for {part}", len(rows))
            return codes_of(editor, faces, rows, seed, shown.advance)

        vectors = fit_each(faces, encode, names, number, seed, rule, match)
        shown.finish()
        return vectors

    first: list[Direction] = []
    with progress_of(progress) as shown:
        for folder, vectors in fit_each_part(model, device, fit):
            write_vectors(folder, vectors)
            shown.message(f"{folder}: vectors of {', '.join(vector.attribute for vector in vectors)}")
            first = first or vectors
        if calibrated:
            calibrate_run(Path(model), labelled[0], shown, device=device)
    return first
