"""What some trainings need beside faces: the guides and the teacher that their settings name."""

from __future__ import annotations

from functools import partial

import numpy as np

from visagist.checkpoints import checkpoint
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.judges.teaching import load_teacher, teaching_losses
from visagist.methods.masked_residual import MaskedResidual
from visagist.pretrained import find_model
from visagist.refining.guides import Guides
from visagist.refining.refiner import Refiner


def provide_tools(refiner: Refiner, faces: Faces, device: str) -> None:
    """Load guides and teacher; VisagistError where one is missing, scores or calibrates, or does not know an attribute."""
    config = refiner.config
    teacher = load_teacher(config.teacher, refiner.attributes, device)
    editors = [Editor.from_pretrained(name, device, refiner=None) for name in config.guides]
    guides = Guides(editors, refiner.attributes)
    used = {editor.name: editor for editor in guides.by_attribute.values() if isinstance(editor, Editor)}
    digests = {name: str(editor.description["weights_sha256"]) for name, editor in used.items()}
    digests[teacher.name] = str(teacher.description["weights_sha256"])
    frequency = np.asarray(faces.labels[faces.indices("train")]).mean(0).tolist()
    refiner.use_tools(guides, teacher, frequency, digests)
    if config.start is not None:
        folder = find_model(config.start, Refiner.kind).folder
        description = checkpoint.read_description(folder)
        refiner.begin_with(checkpoint.read_weights(folder, description), str(description["weights_sha256"]))


def provide_teacher(method: MaskedResidual, device: str) -> None:
    """Load the teacher that the settings name, if they name one; VisagistError as `load_teacher`."""
    if method.config.teacher is not None:
        teacher = load_teacher(method.config.teacher, method.attributes, device)
        method.use_teacher(partial(teaching_losses, teacher), {teacher.name: str(teacher.description["weights_sha256"])})
