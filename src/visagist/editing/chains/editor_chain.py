"""Edit with several models one after the other: each attribute by its own, in the order in which they are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.runtime.arrays import Floats


class Stage(NamedTuple):
    """An editor and the attributes that are left to it."""

    editor: Editor
    attributes: tuple[str, ...]

    def part_of(self, strengths: Mapping[str, float]) -> dict[str, Any]:
        return {name: value for name, value in strengths.items() if name in self.attributes}


class EditorChain:
    """Editors in a row, each of which edits what the one before it left, wherever an `Editor` edits photographs.

    Faces are those that the first sees. `description` names all weights.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self.name = " + ".join(stage.editor.name for stage in stages)
        weights = [str(stage.editor.description.get("weights_sha256", "")) for stage in stages]
        self.description: dict[str, Any] = {"weights_sha256": " + ".join(weights)}

    @property
    def attributes(self) -> tuple[str, ...]:
        """What is edited, in the order in which it is."""
        return tuple(name for stage in self.stages for name in stage.attributes)

    @property
    def runner(self) -> str:
        """What computes the edits."""
        return ", ".join(dict.fromkeys(stage.editor.runner for stage in self.stages))

    @property
    def crop(self) -> str | None:
        return self.stages[0].editor.crop

    @property
    def image_size(self) -> int:
        return self.stages[0].editor.image_size

    def can(self, capability: str) -> bool:
        """Whether every editor has this capability; none classifies for all."""
        return capability != "classify" and all(stage.editor.can(capability) for stage in self.stages)

    def classify(self, faces: Any, batch_size: int = 64) -> dict[str, NDArray[np.float32]]:
        raise VisagistError(f"{self.name} are several models: ask one of them to classify")

    def setting(self, **strengths: float) -> list[Any]:
        """The settings of each editor that has something to edit; VisagistError as `Editor.setting`."""
        if not strengths:
            raise VisagistError(f"name what to edit, such as {self.attributes[0]}=1")
        unknown = [name for name in strengths if name not in self.attributes]
        if unknown:
            raise VisagistError(f"no attribute {unknown[0]!r} in {self.name}: known: {', '.join(self.attributes)}")
        return [editor.setting(**part) for editor, part in self._parts(strengths)]

    def see(self, faces: Any, *, aligned: bool = False) -> NDArray[np.uint8]:
        return self.stages[0].editor.see(faces, aligned=aligned)

    def reconstruct(self, faces: Any, batch_size: int = 64, *, aligned: bool = False) -> Any:
        """Faces passed through the first model without an edit."""
        return self.stages[0].editor.reconstruct(faces, batch_size, aligned=aligned)

    def edit(
        self, faces: Any, mode: str = "render", batch_size: int = 64, *, aligned: bool = False, **strengths: float
    ) -> Any:
        """Faces edited by one model after the other; VisagistError as `Editor.edit`."""
        self.setting(**strengths)
        for editor, part in self._parts(strengths):
            faces = editor.edit(faces, mode, batch_size, aligned=aligned, **part)
            aligned = True
        return faces

    def edit_and_reconstruct(self, images: Any, **strengths: float) -> tuple[Any, Any]:
        """Images [B, 3, S, S] edited by one model after the other, and passed through the first."""
        rebuilt: Any = None
        for editor, part in self._parts(strengths):
            images, before = editor.edit_and_reconstruct(images, **part)
            rebuilt = before if rebuilt is None else rebuilt
        if rebuilt is None:
            raise VisagistError("name what to edit")
        return images, rebuilt

    def contribute(self, images: Floats, mode: str, **strengths: float) -> tuple[Floats, list[float]]:
        """What the edits bring to faces [B, 3, S, S]; see `Editor.contribute`."""
        raise VisagistError(f"{self.name} are several models, each of which sees a face at its own size: ask one of them")

    def refines(self, strengths: Iterable[str]) -> bool:
        """Whether every editor has a refiner that knows the attributes that are left to it."""
        return all(stage.editor.refines(set(strengths) & set(stage.attributes)) for stage in self.stages)

    def size_in(self, mode: str) -> int:
        """Side in pixels of the faces that the first editor takes in this mode."""
        return self.stages[0].editor.size_in(mode)

    @property
    def recolours(self) -> bool:
        """Whether all of its editors change colours and draw nothing."""
        return all(stage.editor.recolours for stage in self.stages)

    def edit_until(
        self, faces: Any, confidence: float = 0.9, mode: str = "render", batch_size: int = 64, *, aligned: bool = False,
        **directions: float,
    ) -> tuple[Any, dict[str, NDArray[np.float32]]]:  # fmt: skip
        """As `Editor.edit_until`, by one model after the other."""
        self.setting(**directions)
        amounts: dict[str, NDArray[np.float32]] = {}
        for editor, part in self._parts(directions):
            faces, used = editor.edit_until(faces, confidence, mode, batch_size, aligned=aligned, **part)
            amounts |= used
            aligned = True
        return faces, amounts

    def residual(
        self, faces: Any, batch_size: int = 64, *, aligned: bool = False, **strengths: float
    ) -> NDArray[np.float32]:
        """What the edits add to the reconstruction of the first model, signed [N, S, S, 3]."""
        seen = self.see(faces, aligned=aligned)
        edited = self.edit(seen, "render", batch_size, aligned=True, **strengths)
        rebuilt = self.reconstruct(seen, batch_size, aligned=True)
        return (edited.astype(np.float32) - rebuilt) / np.float32(255)

    def _parts(self, strengths: Mapping[str, float]) -> list[tuple[Editor, dict[str, Any]]]:
        parts = [(stage.editor, stage.part_of(strengths)) for stage in self.stages]
        return [(editor, part) for editor, part in parts if part]


def load_best(
    attributes: Sequence[str], device: str = "auto", refiner: str = "auto", backend: str | None = None
) -> Editor | EditorChain:
    """The best shipped model for these attributes or, where there are several, a chain of them in this order.

    VisagistError for an attribute that no shipped model edits.
    """
    from visagist.pretrained import models_for

    chosen = models_for(attributes)
    stages = [
        Stage(Editor.from_pretrained(name, device, refiner=refiner, backend=backend), tuple(names))
        for name, names in chosen.items()
    ]
    return stages[0].editor if len(stages) == 1 else EditorChain(stages)
