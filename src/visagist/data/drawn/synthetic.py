"""Drawn faces from known factors: any attribute can be flipped with all else fixed, so that the true edit is known."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.attributes import check_attributes
from visagist.boundary.python_path import safe_children
from visagist.data.drawn.brush import RANGES, Identity
from visagist.data.drawn.labels import ATTRIBUTES, correlation_matrix, draw_labels, prevalences, uniforms
from visagist.data.drawn.layers import DRAWING_VERSION, draw_change, draw_face, draw_region, face_points
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.progress import ProgressLike, progress_of

__all__ = ["ATTRIBUTES", "SyntheticFaces", "drawn_source", "load_synthetic"]

IDENTITY_STREAM = 1
STANDARD_NORMAL = np.array([NormalDist().inv_cdf((octet + 0.5) / 256) for octet in range(256)])
MARKING_SIZE, VISIBLE_SHARE = 64, 0.5
ROWS_PER_TASK = 250


class SyntheticFaces:
    """`number` drawn faces, each a function of the seed and its index alone.

    labels [N, A] uint8, columns as `names`. `correlation` between attributes is a matrix [A, A] in the order of
    `ATTRIBUTES`, or a mapping from pairs of names; `prevalence` is one share for all or a mapping from names.
    Raises VisagistError for unknown names and for correlations that no distribution has.
    """

    def __init__(
        self,
        number: int,
        *,
        image_size: int = 64,
        seed: int = 0,
        correlation: ArrayLike | Mapping[tuple[str, str], float] | None = None,
        prevalence: float | Mapping[str, float] = 0.5,
    ) -> None:
        if number < 1:
            raise VisagistError(f"a set of drawn faces needs at least 1 face, got {number}")
        if not 8 <= image_size <= 2048:
            raise VisagistError(f"drawn faces are 8 to 2048 pixels wide, got image_size={image_size}")
        if not 0 <= seed < 2**63:
            raise VisagistError(f"a seed is a whole number from 0 to 2**63 - 1, got {seed}")
        self.names, self.image_size, self.seed = ATTRIBUTES, image_size, seed
        self.correlation = correlation_matrix(correlation)
        self.prevalence = prevalences(prevalence)
        self.labels = draw_labels(seed, number, self.correlation, self.prevalence)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int, size: int | None = None) -> NDArray[np.uint8]:
        """The face [S, S, 3]; at another size it is the same face."""
        index = self._check_index(index)
        return _draw_noisy(self.seed, index, self.identity(index), self._present(index), size or self.image_size)

    def counterfactual(self, index: int, **attributes: int) -> NDArray[np.uint8]:
        """The true picture [S, S, 3] of the face with these attributes set to 0 or 1 and all else fixed."""
        index = self._check_index(index)
        check_attributes(list(attributes), self.names, "drawn faces")
        for name, value in attributes.items():
            if value not in (0, 1):
                raise VisagistError(f"an attribute of a drawn face is 0 or 1, got {name}={value}")
        present = self._present(index) | {name: bool(value) for name, value in attributes.items()}
        return _draw_noisy(self.seed, index, self.identity(index), present, self.image_size)

    def region(self, index: int, attribute: str) -> NDArray[np.bool_]:
        """The pixels [S, S] that a flip of the attribute may change: the extent of what is drawn for it."""
        index = self._check_index(index)
        check_attributes([attribute], self.names, "drawn faces")
        return draw_region(self.identity(index), self._present(index), attribute, self.image_size)

    def hidden(self, index: int, attribute: str) -> bool:
        """Whether a hat takes away more than half of the pixels that the flip changes: such a pair is marked."""
        index = self._check_index(index)
        check_attributes([attribute], self.names, "drawn faces")
        present = self._present(index)
        if attribute == "Wearing_Hat" or not present["Wearing_Hat"]:
            return False
        bare, hatted = (
            draw_change(self.identity(index), {**present, "Wearing_Hat": hat}, attribute, MARKING_SIZE).sum()
            for hat in (False, True)
        )
        return bool(hatted < VISIBLE_SHARE * bare)

    def landmarks(self, index: int) -> NDArray[np.float32]:
        """The true places [5, 2] of both eyes, tip of the nose, and corners of the mouth, left first, in pixels.

        No attribute but Smiling moves one, so these are those of every counterfactual that leaves the smile.
        """
        index = self._check_index(index)
        return face_points(self.identity(index), self._present(index), self.image_size)

    def all_landmarks(self) -> NDArray[np.float32]:
        """`landmarks` of every face, [N, 5, 2]."""
        identities = _identities(self.seed, range(len(self)))
        return np.stack([face_points(who, self._present(i), self.image_size) for i, who in enumerate(identities)])

    def identity(self, index: int) -> Identity:
        """The continuous factors of a face."""
        return _identities(self.seed, [self._check_index(index)])[0]

    def render(
        self,
        rows: Sequence[int] | NDArray[np.integer] | None = None,
        *,
        processes: int | None = None,
        progress: ProgressLike = None,
    ) -> NDArray[np.uint8]:
        """Draw the faces of these rows (all by default), uint8 [n, S, S, 3].

        More than one process means fresh worker processes, so a script needs its `if __name__ == "__main__":`.
        """
        indices = [self._check_index(int(row)) for row in (range(len(self)) if rows is None else rows)]
        tasks = [indices[start : start + ROWS_PER_TASK] for start in range(0, len(indices), ROWS_PER_TASK)]
        jobs = [(self.seed, self.image_size, task, self.labels[task]) for task in tasks]

        def collect(parts: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
            images, done = np.empty((len(indices), self.image_size, self.image_size, 3), np.uint8), 0
            with progress_of(progress) as shown:
                shown.stage(f"drawing {len(indices)} faces", len(indices), "faces")
                for part in parts:
                    images[done : done + len(part)] = part
                    done += len(part)
                    shown.advance(len(part))
                shown.finish()
            return images

        if (processes or 1) == 1 or len(jobs) < 2:
            return collect(map(_draw_rows, jobs))
        with safe_children(), ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            return collect(pool.map(_draw_rows, jobs))

    def _present(self, index: int) -> dict[str, bool]:
        return {name: bool(value) for name, value in zip(self.names, self.labels[index])}

    def _check_index(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise VisagistError(f"no drawn face {index}: there are {len(self)}, counted from 0")
        return index % len(self)


def load_synthetic(
    number: int,
    image_size: int = 64,
    seed: int = 0,
    correlation: ArrayLike | Mapping[tuple[str, str], float] | None = None,
    progress: ProgressLike = False,
    *,
    prevalence: float | Mapping[str, float] = 0.5,
    processes: int | None = None,
) -> Faces:
    """Draw a labelled set: of every ten faces eight train, one validates, one tests; each has its own identity."""
    source = SyntheticFaces(number, image_size=image_size, seed=seed, correlation=correlation, prevalence=prevalence)
    images = source.render(processes=processes, progress=progress)
    turn = np.arange(number) % 10
    manifest: dict[str, Any] = {
        "source": f"synthetic:{number}",
        "seed": seed,
        "image_size": image_size,
        "count": number,
        "sha256": hashlib.sha256(images.tobytes()).hexdigest(),
        "crop": "drawn",
        "drawing_version": DRAWING_VERSION,
        "attributes": list(source.names),
        "correlation": None if correlation is None else source.correlation.tolist(),
        "prevalence": dict(zip(source.names, source.prevalence.tolist())),
    }
    return Faces(
        images=images,
        labels=source.labels,
        names=source.names,
        split=np.where(turn == 3, 1, np.where(turn == 7, 2, 0)).astype(np.uint8),
        files=tuple(f"synthetic-{index:06d}" for index in range(number)),
        identity=np.arange(number, dtype=np.int64),
        landmarks=source.all_landmarks(),
        manifest=manifest,
    )


def drawn_source(faces: Faces) -> tuple[SyntheticFaces, NDArray[np.int64]]:
    """Reconstruct the source of drawn faces, for their counterfactuals, and the index [N] of each face in it.

    Raises VisagistError for faces that are not drawn, whose manifest does not say how (as in a pack), or that this version
    draws differently.
    """
    facts = faces.manifest
    if not str(facts.get("source")).startswith("synthetic:"):
        raise VisagistError("only of drawn faces is it known how they would look otherwise: give --data synthetic:N")
    absent = [key for key in ("seed", "count", "image_size", "prevalence", "drawing_version") if key not in facts]
    if absent:
        raise VisagistError(f"these drawn faces do not say their {', '.join(absent)}: give --data synthetic:N, not a pack")
    source = SyntheticFaces(
        facts["count"], image_size=facts["image_size"], seed=facts["seed"],
        correlation=facts.get("correlation"), prevalence=facts["prevalence"],
    )  # fmt: skip
    indices = np.array([int(name.rpartition("-")[2]) for name in faces.files], np.int64)
    same = facts["drawing_version"] == DRAWING_VERSION
    if not same or (len(faces) and not np.array_equal(source.image(int(indices[0])), faces.images[0])):
        raise VisagistError(
            "these drawn faces do not look as this version draws them: draw them anew with --data synthetic:N"
        )
    return source, indices


def _identities(seed: int, rows: Sequence[int]) -> list[Identity]:
    low, high = np.array(RANGES).T
    factors = low + (high - low) * uniforms(seed, IDENTITY_STREAM, rows, len(RANGES))
    return [Identity(*row) for row in factors.tolist()]


def _draw_noisy(seed: int, index: int, identity: Identity, present: Mapping[str, bool], size: int) -> NDArray[np.uint8]:
    """Draw a face with its noise, which does not depend on the attributes."""
    values = 3 * size * size
    octets = np.random.Philox(key=[seed, index]).random_raw((values + 7) // 8).view(np.uint8)[:values]
    noisy = np.rint(identity.noise * STANDARD_NORMAL).astype(np.int16).take(octets).reshape(size, size, 3)
    noisy += draw_face(identity, present, size)
    np.maximum(noisy, 0, out=noisy)
    return np.minimum(noisy, 255, out=noisy).astype(np.uint8)


def _draw_rows(job: tuple[int, int, list[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    seed, size, rows, labels = job
    images = np.empty((len(rows), size, size, 3), np.uint8)
    for row, (index, identity) in enumerate(zip(rows, _identities(seed, rows))):
        present = {name: bool(value) for name, value in zip(ATTRIBUTES, labels[row])}
        images[row] = _draw_noisy(seed, index, identity, present, size)
    return images
