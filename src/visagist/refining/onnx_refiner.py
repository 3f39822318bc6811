"""A refiner by the graph that `visagist export` wrote of it, run by onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from visagist.latent.onnx_backend import GraphFolder
from visagist.runtime.arrays import Floats, to_floats
from visagist.runtime.resizing import resize_arrays


class OnnxRefiner:
    """What paints edits of faces [B, 3, S, S], arrays of numpy, on the processor. VisagistError where there is no graph."""

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.graphs = GraphFolder(folder, description)
        self.attributes, self.image_size = tuple(description["attributes"]), int(description["image_size"])

    def to(self, device: Any) -> None:
        """Nothing: the processor is the one device."""

    def take(self, images: Any, device: Any) -> Floats:
        """Faces as what `repaint` takes."""
        return to_floats(images)

    def repaint(self, x: Floats, attribute: str, toward: float, edited: Floats, rebuilt: Floats) -> Floats:
        """Faces [B, 3, S, S] with one attribute changed to class `toward`, after the decodes of the edit and without one."""
        code = np.zeros((1, 2 * len(self.attributes)), np.float32)
        code[0, 2 * self.attributes.index(attribute) + int(toward)] = 1
        edited, rebuilt = (resize_arrays(decoded, self.image_size) for decoded in (edited, rebuilt))
        return self.graphs["repaint"].run({"images": x, "edited": edited, "rebuilt": rebuilt, "code": code})[0]
