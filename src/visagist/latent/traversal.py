"""Which dimensions of a model's code matter, and what each of them does to a face.

Shape letters: N faces, Z latent dimensions, A attributes, K dimensions that are shown, T values, S image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.attributes import check_attributes
from visagist.errors import VisagistError
from visagist.latent.backend import FaceModel, optional_method
from visagist.latent.codes import check_has_codes, decode_codes, encode_images, over_batches
from visagist.losses import ACTIVE, kl_by_dimension
from visagist.methods.base import Code
from visagist.progress import ProgressLike

MEASURES = {
    "kl": "mean KL from the prior in nats",
    "variance": "variance of posterior means",
    "movement": "mean squared change of the picture",
}


@runtime_checkable
class HasPosterior(Protocol):
    """A method that gives mean and log-variance [B, Z] of z for images [B, 3, S, S]; its prior is N(0, I)."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Ranking:
    """How much each latent dimension matters.

    by      "kl", "variance" or "movement", a key of `MEASURES`
    values  [Z], the more the higher
    faces   how many were read
    """

    by: str
    values: NDArray[np.float64]
    faces: int

    @property
    def order(self) -> NDArray[np.int64]:
        """Dimensions [Z], the one that matters most first; of equal ones the one that comes first."""
        return np.argsort(-self.values, kind="stable")

    @property
    def active(self) -> int | None:
        """How many dimensions are above `ACTIVE`; None where one face was moved, which does not tell."""
        return None if self.by == "movement" else int((self.values > ACTIVE).sum())


def rank_by_faces(editor: FaceModel, images: NDArray[np.uint8], progress: ProgressLike = None) -> Ranking:
    """Dimensions by what faces [N, S, S, 3] say in them.

    By the KL of the posterior from the prior N(0, 1) in each dimension, mean over the faces, where the method has
    `posterior`; else by the variance of posterior means (Burda, Grosse and Salakhutdinov, 2016, §5.2), which needs N of at
    least 2. VisagistError for a model without a code, too few faces, and faces of another size.
    """
    check_has_codes(editor, "traversal")
    method = optional_method(editor)
    least = 1 if isinstance(method, HasPosterior) else 2
    if len(images) < least:
        raise VisagistError(f"dimensions are ranked on at least {least} faces, got {len(images)}: give hundreds")
    if isinstance(method, HasPosterior):
        parts = over_batches(editor, images, method.posterior, progress)
        mu, log_var = (torch.cat([part[i].double().cpu() for part in parts]) for i in (0, 1))
        return Ranking("kl", kl_by_dimension(mu, log_var).numpy(), len(images))
    z = encode_images(editor, images, progress).z.double()
    return Ranking("variance", z.var(0, correction=0).numpy(), len(images))


def rank_by_movement(editor: FaceModel, code: Code, reach: float, progress: ProgressLike = None) -> Ranking:
    """Dimensions by how far the picture of one code (z [1, Z], y [1, A]) moves: mean square of its change, pixels in [0, 1].

    The change is between the dimension at -reach and at +reach. VisagistError for a reach that is not above 0.
    """
    ends = traverse(editor, code, range(code.z.shape[1]), reach, 2, progress).astype(np.float64) / 255
    return Ranking("movement", np.square(ends[:, 1] - ends[:, 0]).mean((1, 2, 3)), 1)


def traverse(
    editor: FaceModel,
    code: Code,
    dimensions: Sequence[int] | NDArray[np.int64],
    reach: float = 3.0,
    steps: int = 7,
    progress: ProgressLike = None,
) -> NDArray[np.uint8]:
    """Pictures [K, T, S, S, 3] of one code (z [1, Z], y [1, A]) with each of K dimensions set to T values.

    The values run evenly from -reach to +reach standard deviations of the prior, which is 1; other dimensions and y stay.
    VisagistError for fewer than 2 steps, a reach that is not above 0, no dimension and one that is not there.
    """
    values = values_of(reach, steps)
    strange = [k for k in dimensions if not 0 <= k < code.z.shape[1]]
    if strange or not len(dimensions):
        got = f"{strange[0]}" if strange else "none"
        raise VisagistError(f"{editor.name} has latent dimensions 0 to {code.z.shape[1] - 1}, got {got}: name one of them")
    z = code.z.repeat(len(dimensions), steps, 1)
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = torch.from_numpy(values)
    z = z.flatten(0, 1)
    y = None if code.y is None else code.y.expand(len(z), -1)
    size = (editor.image_size, editor.image_size, 3)
    return decode_codes(editor, Code(z, y), progress).reshape(len(dimensions), steps, *size)


def values_of(reach: float, steps: int) -> NDArray[np.float32]:
    """The T values, evenly from -reach to +reach; VisagistError for fewer than 2 and for a reach that is not above 0."""
    if steps < 2:
        raise VisagistError(f"a traversal of {steps} steps has no two ends: give at least 2 steps")
    if not 0 < reach < float("inf"):
        raise VisagistError(f"reach is {reach:g} standard deviations: give a number above 0, such as 3")
    return np.linspace(-reach, reach, steps, dtype=np.float32)


def prior_code(editor: FaceModel, seed: int = 0) -> Code:
    """A code drawn by the seed: z [1, Z] from N(0, I) and, where the model decodes labels, y [1, A] of 0 or 1 at even odds.

    VisagistError for a model that has no code, or is not made to generate from the prior.
    """
    check_has_codes(editor, "traversal")
    if not editor.can("generate"):
        raise VisagistError(
            f"{editor.name} ({editor.backend.name}) does not generate from a prior: give a face to start from"
        )
    z, y = encode_images(editor, np.zeros((1, editor.image_size, editor.image_size, 3), np.uint8))
    noise = torch.Generator().manual_seed(seed)
    drawn = torch.randn(z.shape, generator=noise)
    return Code(drawn, None if y is None else torch.randint(0, 2, y.shape, generator=noise).float())


def step_fractions(steps: int) -> NDArray[np.float64]:
    """alpha = 0 ... 1 in so many steps, both ends included; VisagistError for fewer than 2."""
    if steps < 2:
        raise VisagistError(f"a walk has at least 2 steps, its ends, got {steps}: give for instance 11")
    return np.linspace(0, 1, steps)


def walk_attribute(
    editor: FaceModel, face: NDArray[np.uint8], attributes: Sequence[str], steps: int = 11, away: bool = False
) -> NDArray[np.uint8]:
    """The face [S, S, 3] along each attribute, [A, steps, S, S, 3]: toward it, or `away` from it.

    Raises VisagistError for a model that does not edit, and for attributes that it does not.
    """
    alphas = step_fractions(steps)
    check_attributes(list(attributes), editor.attributes, editor.name)
    rows = []
    for name in attributes:
        amount = np.zeros((steps, len(editor.attributes)), np.float32)
        amount[:, editor.attributes.index(name)] = alphas * editor.backend.paper_amount
        target = np.full(len(editor.attributes), float(not away), np.float32)
        rows.append(editor.edit_arrays(np.repeat(face[None], steps, axis=0), target, amount))
    return np.stack(rows)
