"""How an edit is shown: as the pixels that the model paints, or as a change of the picture's own pixels."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from visagist.errors import VisagistError, nearest

if TYPE_CHECKING:
    from torch import Tensor

AnyPixels = TypeVar("AnyPixels", "Tensor", NDArray[np.float32], NDArray[np.int16])


class Mode(StrEnum):
    """`RENDER` puts the edited face in place of the picture's; `DETAIL` adds edited − reconstructed to its own pixels.

    `PHOTO` has a refiner paint anew what the edit changes, at the refiner's size, and adds the difference.

    `Mode("detail")` reads what a person gives; VisagistError for any other name.
    """

    RENDER = "render"
    DETAIL = "detail"
    PHOTO = "photo"

    @classmethod
    def _missing_(cls, value: object) -> Mode:
        raise VisagistError(f"no mode {str(value)!r}: {nearest(str(value), MODES)}")

    @property
    def keeps_pixels(self) -> bool:
        """Whether the picture keeps its own pixels and size, and only the change is the model's."""
        return self is not Mode.RENDER

    def contribution(self, edited: AnyPixels, rebuilt: AnyPixels) -> AnyPixels:
        """What the model brings to the picture: a signed change to be added, or the pixels to be shown."""
        return edited - rebuilt if self.keeps_pixels else edited

    def origin(self, images: NDArray[np.uint8], rebuilt: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What is shown of these images [N, S, S, 3] where nothing is edited."""
        return images if self.keeps_pixels else rebuilt

    def show(
        self, images: NDArray[np.uint8], edited: NDArray[np.uint8], rebuilt: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Images [N, S, S, 3] of the model's size as they are shown after an edit."""
        if not self.keeps_pixels:
            return edited
        change = self.contribution(edited.astype(np.int16), rebuilt.astype(np.int16))
        return np.clip(images + change, 0, 255).astype(np.uint8)


class RefinesEdits(Protocol):
    """An editor that may have a refiner, as `visagist.editing.editor.Editor` may."""

    def refines(self, strengths: Iterable[str]) -> bool: ...


def usual_mode(editor: RefinesEdits, attributes: Iterable[str]) -> Mode:
    """The mode of photographs where none is named: photo, if a refiner knows all of these attributes, else detail."""
    return Mode.PHOTO if editor.refines(attributes) else Mode.DETAIL


MODES = tuple(Mode)
MODEL_MODES = (Mode.RENDER, Mode.DETAIL)  # of the model alone, which every editor has
