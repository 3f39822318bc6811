"""Whether a model has seen too little to be used: of the faces that it is given it draws none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visagist.boundary.schema import json_text
from visagist.checkpoints import checkpoint
from visagist.data.crops import template
from visagist.data.faces import SPLITS, Faces
from visagist.editing.editor import Editor
from visagist.faces.landmarks import LANDMARK_MODEL, SURE_FACE, score_faces_at
from visagist.files import write_file
from visagist.pretrained import shipped_folder

LOOKED_AT = 64  # validation faces
SHARE = 0.25  # of the photographs that show a face: a model whose reconstructions show fewer is untrained


def mark_untrained(folder: Path, faces: Faces, device: str) -> str | None:
    """Why a model is untrained, which its config.json then says too; None where it draws faces, or nobody can tell.

    It is told by the landmark network on validation faces that show a face to it.
    """
    editor = Editor.from_pretrained(folder, device)
    reason = _describe_untrained(editor, faces)
    description = checkpoint.read_description(folder)
    if bool(description.get("untrained")) != (reason is not None):
        text = json_text({**description, "untrained": reason is not None}, 1) + "\n"
        write_file(folder / "config.json", text, remedy="copy the model elsewhere")
    return reason


def _describe_untrained(editor: Editor, faces: Faces) -> str | None:
    images = faces.images[np.flatnonzero(faces.split == SPLITS.index("val"))[:LOOKED_AT]]
    if not len(images) or shipped_folder(LANDMARK_MODEL) is None or not editor.can("autoencode"):
        return None
    usual = template(faces.manifest.get("crop"), images.shape[1]).astype(np.float32)
    seen, rebuilt = (score_faces_at(some, usual) >= SURE_FACE for some in (images, editor.reconstruct_arrays(images)))
    if seen.mean() < 0.5 or rebuilt.mean() >= SHARE * seen.mean():
        return None
    return (
        f"it draws faces in {rebuilt.mean():.0%} of its reconstructions; the landmark network sees one in {seen.mean():.0%} "
        "of the photographs"
    )
