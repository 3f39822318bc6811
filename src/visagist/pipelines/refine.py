"""What a refiner needs for its training beside faces: the guides and the teacher that its settings name."""

from __future__ import annotations

import numpy as np

from visagist.checkpoints import checkpoint
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.judges.judge import JUDGES, load_judge
from visagist.pretrained import find_model
from visagist.refining.guides import Guides
from visagist.refining.refiner import Refiner


def provide_tools(refiner: Refiner, faces: Faces, device: str) -> None:
    """Load guides and teacher; VisagistError where one is missing, scores or calibrates, or does not know an attribute."""
    config = refiner.config
    if config.teacher in JUDGES:
        raise VisagistError(f"the teacher is {config.teacher}, which judges edits: train with another, such as teacher-64")
    teacher = load_judge(config.teacher, device)
    unknown = [name for name in refiner.attributes if name not in teacher.attributes]
    if unknown:
        raise VisagistError(f"the teacher {config.teacher} does not read {unknown[0]}: leave it out, or take another")
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
