"""Is it still the same person: cosines of a face-recognition embedding, by a callable or an ONNX file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.untrusted import WEIGHT_BYTES, check_regular
from visagist.errors import VisagistError
from visagist.evaluation.context import Images, Once, Study
from visagist.evaluation.metrics.edits import Edits
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.evaluation.statistics import mean_of
from visagist.files import sha256_of

Embedder = Callable[[Images], NDArray[np.float32]]
Box = tuple[float, float, float, float]
HOW = (
    "no identity embedder: give --identity FACE.onnx (pip install visagist[identity]), or in Python "
    "identity=OnnxEmbedder('face.onnx') or a callable"
)
PAIRS = 2000


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
        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise VisagistError("onnxruntime is not installed: pip install visagist[identity]") from error
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


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosines [N] between the rows of a and b, both [N, D]."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)).clip(1e-12)


@dataclass(frozen=True)
class Recognised:
    """The faces of a subset as an embedder sees them: photographs [M, D], and their cosines [M] to reconstructions."""

    photos: NDArray[np.float32]
    kept: NDArray[np.float64] | None


def measure_identity(study: Study, embed: Once | None) -> Recognised | None:
    """`identity.*` but for edits, on a subset: photograph against reconstruction, what same and different people give."""
    values = study.results.values
    if embed is None:
        study.results.not_computed["identity.*"] = HOW
        return None
    study.track.stage("identity")
    rows = study.subset()
    photos, kept = embed.photographs(study.faces.images[rows]), None
    if study.can("autoencode"):
        kept = cosine(photos, embed(study.unedited[rows]))
        values["identity.reconstruction"] = mean_of(kept, study.seed)
    else:
        study.results.not_computed["identity.reconstruction"] = f"{study.editor.method.name} has no autoencoder"
    _people(study, rows, photos)
    return Recognised(photos, kept)


def measure_identity_of_edits(study: Study, attribute: str, edits: Edits, embed: Once, before: Recognised) -> None:
    """`identity.A.*`: photograph against edit, at the paper's setting and at strength ±1."""
    study.track.stage(f"{attribute}: identity")
    for key, faces in (("", edits.paper[study.subset()]), ("at_strength.", edits.ends)):
        edited = cosine(before.photos, embed(faces))
        study.results.values[f"identity.{attribute}.{key}edit"] = mean_of(edited, study.seed)
        if before.kept is not None:
            study.results.values[f"identity.{attribute}.{key}drop"] = mean_of(before.kept - edited, study.seed)


def _people(study: Study, rows: NDArray[np.int64], photos: NDArray[np.float32]) -> None:
    """Cosines between photographs of the same person and of different people, where it is known who is who."""
    if study.faces.identity is None:
        study.results.not_computed["identity.same_person"] = "the data do not say who is who"
        study.results.not_computed["identity.different_people"] = "the data do not say who is who"
        return
    people, rng = study.faces.identity[rows], np.random.default_rng(study.seed)
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    for name, pairs in (("same_person", np.flatnonzero(same)), ("different_people", np.flatnonzero(~same))):
        if len(pairs) == 0:
            study.results.not_computed[f"identity.{name}"] = "no such pair among these faces"
            continue
        drawn = rng.permutation(pairs)[:PAIRS]
        study.results.values[f"identity.{name}"] = mean_of(cosine(photos[first[drawn]], photos[second[drawn]]), study.seed)
