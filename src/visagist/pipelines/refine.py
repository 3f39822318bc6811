"""What some trainings need beside faces: the guides and the teacher that their settings name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from visagist.checkpoints import checkpoint
from visagist.data.crops import inner_square
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.judges.architectures import PlainConvNet
from visagist.judges.judge import Judge
from visagist.judges.teaching import load_teacher, teaching_losses
from visagist.methods.masked_residual import Features, MaskedResidual
from visagist.pixels import resize
from visagist.pretrained import find_model
from visagist.refining.guides import Guides
from visagist.refining.refiner import Refiner

TEACHER_CROP = "centre148"  # what teachers were shown of a face


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
        weights, digest = checkpoint.read_weights(folder, description), str(description["weights_sha256"])
        refiner.begin_with(weights, description["attributes"], digest)


def provide_teacher(method: MaskedResidual, device: str) -> None:
    """Load the teachers that the settings name, if they name any; VisagistError as `load_teacher`."""
    if method.config.teacher is None:
        return
    teachers = [load_teacher(name, method.attributes, device) for name in method.config.teacher.split(",")]
    inside = inner_square(method.config.crop, TEACHER_CROP, method.image_size)

    def teach(before: Tensor, after: Tensor, attributes: Sequence[str], toward: Tensor) -> tuple[Tensor, Tensor]:
        seen = before[:, :, inside, inside], after[:, :, inside, inside]
        losses = [teaching_losses(teacher, *seen, attributes, toward) for teacher in teachers]
        convinced, stay = (torch.stack(values).mean() for values in zip(*losses, strict=True))
        return convinced, stay

    digests = {teacher.name: str(teacher.description["weights_sha256"]) for teacher in teachers}
    method.use_teacher(teach, digests, _features_of(teachers[0], method.config.feature_channels))


def _features_of(teacher: Judge, channels: Sequence[int]) -> Features | None:
    """The stages of a teacher that have these numbers of channels, in their order; VisagistError where it has none such."""
    if not channels:
        return None
    network = teacher.model.networks()["classifier"]
    if not isinstance(network, PlainConvNet):
        raise VisagistError(f"the teacher {teacher.name} has no stages of plain convolutions: name one first that has")
    stages, widths = network.stages, list(teacher.model.config.widths)
    if not set(channels) <= set(widths):
        raise VisagistError(f"the teacher {teacher.name} has stages of {widths} channels: give some of them, or none")
    chosen = [widths.index(number) for number in channels]

    def features(faces: Tensor) -> Sequence[Tensor]:
        seen = stages(resize(faces, teacher.image_size).contiguous(memory_format=torch.channels_last))
        return [seen[index] for index in chosen]

    return features
