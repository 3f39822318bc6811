"""Networks that read pictures, from ONNX files: identity embedders and classifiers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.attributes import Box
from visagist.boundary.untrusted import WEIGHT_BYTES, check_regular
from visagist.errors import VisagistError
from visagist.evaluation.context import Images
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.files import sha256_of
from visagist.runtime.graphs import load_onnxruntime

Embedder = Callable[[Images], NDArray[np.float32]]


class OnnxEmbedder:
    """Embeddings [N, D] of uint8 faces [N, S, S, 3] by an ONNX network of one RGB input [B, 3, H, W].

    Pixels become (x − mean) / scale, x from 0 to 255; `box` (left, top, right, bottom, in fractions of the face, may
    reach outside) is what the network is shown, for embedders that are aligned otherwise. Raises VisagistError where
    onnxruntime or the file is missing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mean: float = 127.5,
        scale: float = 128.0,
        box: Box = (0.0, 0.0, 1.0, 1.0),
        batch_size: int = 64,
    ) -> None:
        try:
            check_regular(path, WEIGHT_BYTES)
        except OSError as error:
            raise VisagistError(f"no ONNX file {str(path)!r}: name the file of a face embedder") from error
        runtime = load_onnxruntime()
        options = runtime.SessionOptions()
        # Threads that wait by spinning take from those of the other networks, and half as much time again.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # onnxruntime's exceptions share no base class but Exception.
            raise VisagistError(f"cannot read {path} as an ONNX network: {str(error).splitlines()[0]}") from error
        entry = self.session.get_inputs()[0]
        self.name, self.entry = Path(path).name, entry.name
        side = entry.shape[-1]
        self.size = side if isinstance(side, int) else 112
        self.mean: Any = mean
        self.scale: Any = scale
        self.box, self.batch_size = box, batch_size
        self.sha256 = sha256_of(Path(path))
        self.fingerprint = fingerprint_of("onnx", self.sha256, mean, scale, box, self.size, runtime.__version__)

    def __call__(self, images: Images) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), self.batch_size):
            shown = np.stack([seen_through(image, self.box, self.size) for image in images[start : start + self.batch_size]])
            x = ((shown.astype(np.float32) - self.mean) / self.scale).transpose(0, 3, 1, 2)
            parts.append(self.session.run(None, {self.entry: np.ascontiguousarray(x)})[0])
        return np.concatenate(parts).reshape(len(images), -1)


def seen_through(image: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """What of a uint8 face [S, S, 3] is in a box (left, top, right, bottom, in shares of it), at `size` pixels, bicubic.

    A box that reaches outside shows black there.
    """
    side = image.shape[0]
    left, top, right, bottom = (edge * side for edge in box)
    step = (right - left) / size, (bottom - top) / size
    matrix = (step[0], 0.0, left, 0.0, step[1], top)
    shown = Image.fromarray(image).transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.asarray(shown)


MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of ImageNet's pixels, 0 to 255
SCALE = np.array([58.395, 57.12, 57.375], np.float32)


class OnnxClassifier(OnnxEmbedder):
    """Class probabilities [N, K] of uint8 images [N, S, S, 3] by an ONNX classifier of one standardised RGB input.

    A row of outputs that is no distribution is taken for logits. VisagistError as of `OnnxEmbedder`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.name = Path(path).stem
        self.mean, self.scale = MEAN, SCALE

    def __call__(self, images: Images) -> NDArray[np.float32]:
        outputs = super().__call__(images)
        if outputs.shape[1] < 2:
            raise VisagistError(f"{self.name} gives one number an image: the inception score needs a classifier")
        if (outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3):
            return outputs
        powers = np.exp(outputs - outputs.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))
