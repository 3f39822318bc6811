"""Remove a binary attribute from codes by transport, and restore it, in two steps that are inverted exactly.

Codes of faces without the attribute are modelled as N(m_0, S_0), with it as N(m_1, S_1); t in [0, 1] lies between.

1. Along the means. With the unit vector q of m_1 - m_0, a code is z = v + w q, v orthogonal to q, of which the mean is
   the same for both classes. Given v, w is normal with mean e_t(v) and deviation s_t. It is moved to where it would be at
   t = 1/2, w -> e_1/2(v) + (w - e_t(v)) s_1/2 / s_t, and v stays. This is the triangular transport of Rosenblatt (1952)
   in one dimension: how far a face is moved depends on the rest of its code.
2. What covariances still tell. Of the codes so moved, the optimal transport from N(m_0, S_0) to N(m_1, S_1) is z -> m_1 +
   M (z - m_0) with a symmetric M (Dowson and Landau, 1982). A face at t has

       z = m_t + M_t x,   m_t = (1 - t) m_0 + t m_1,   M_t = (1 - t) I + t M,

   the displacement interpolation (McCann, 1997). What is kept of z is u = M_1/2 x, about where the face would be at t = 1/2.
   All M_t share the eigenvectors of M, so either way is two rotations and a scaling.

Mean and covariance of u are the same with and without the attribute.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

# Between these probabilities t rises from 0 to 1: a probability of .05 or .2 means absent, not a fifth of a smile.
ABSENT, PRESENT = 0.25, 0.75


def label_position(y: Tensor) -> Tensor:
    """t in [0, 1] for probabilities y of any shape."""
    return ((y - ABSENT) / (PRESENT - ABSENT)).clamp(0, 1)


class MeanShift(NamedTuple):
    """Parameters of the first step, absent and present: e(v) = level + slope · (v - centre), with deviation `spread`.

    direction, centre   [Z], q and the mean of v
    level, spread       [2]
    slope               [2, Z]
    """

    direction: Tensor
    centre: Tensor
    level: Tensor
    slope: Tensor
    spread: Tensor


class ClassTransport(nn.Module):
    """One transport per attribute, applied in order; the identity until they are set.

    Buffers, for each attribute: those of `MeanShift`; `means` [A, 2, Z] of the second step, absent and present; `rotation`
    [A, Z, Z], eigenvectors of M as columns; `scale` [A, Z], its eigenvalues; `reach` [A, 2], how far beyond the mean of the
    absent and of the present an edit goes, over the distance of both means.
    """

    direction: Tensor
    centre: Tensor
    level: Tensor
    slope: Tensor
    spread: Tensor
    means: Tensor
    rotation: Tensor
    scale: Tensor
    reach: Tensor

    def __init__(self, latent: int, attributes: int) -> None:
        super().__init__()
        self.register_buffer("direction", torch.zeros(attributes, latent))
        self.register_buffer("centre", torch.zeros(attributes, latent))
        self.register_buffer("level", torch.zeros(attributes, 2))
        self.register_buffer("slope", torch.zeros(attributes, 2, latent))
        self.register_buffer("spread", torch.ones(attributes, 2))
        self.register_buffer("means", torch.zeros(attributes, 2, latent))
        self.register_buffer("rotation", torch.eye(latent).expand(attributes, -1, -1).contiguous())
        self.register_buffer("scale", torch.ones(attributes, latent))
        self.register_buffer("reach", torch.zeros(attributes, 2))

    def reset(self) -> None:
        """Make every transport the identity."""
        for buffer in (self.direction, self.centre, self.level, self.slope, self.means, self.reach):
            buffer.zero_()
        self.rotation.copy_(torch.eye(self.scale.shape[1]))
        for buffer in (self.spread, self.scale):
            buffer.fill_(1)

    def set_mean_shift(self, index: int, shift: MeanShift) -> None:
        """Set the first step of the attribute `index`."""
        for name, value in shift._asdict().items():
            getattr(self, name)[index].copy_(value)

    def set_attribute(self, index: int, means: Tensor, rotation: Tensor, scale: Tensor) -> None:
        """Set the second step of the attribute `index`: means [2, Z], rotation [Z, Z], scale [Z]."""
        for buffer, value in ((self.means, means), (self.rotation, rotation), (self.scale, scale)):
            buffer[index].copy_(value)

    def forget(self, z: Tensor, t: Tensor) -> Tensor:
        """u [B, Z] of codes z [B, Z] of faces at t [B, A]."""
        for index in range(len(self.scale)):
            z = self.forget_one(index, z, t[:, index])
        return z

    def forget_one(self, index: int, z: Tensor, t: Tensor) -> Tensor:
        """As `forget`, for one attribute; t [B]."""
        z = self.shift_mean(index, z, t, torch.full_like(t, 0.5))
        mean, stretch, rotation, mean_stretch = self._at(index, t)
        return ((z - mean) @ rotation / stretch * mean_stretch) @ rotation.T

    def remember(self, u: Tensor, t: Tensor) -> Tensor:
        """The inverse of `forget` at the same t; at another, the code of the face with other attributes.

        Beyond 0 and 1 the mean is extrapolated, and the stretch is constant.
        """
        return self.edited(u, t, t)

    def edited(self, u: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Codes [B, Z] at `end` [B, A] of faces that were at `start`: as `remember`, but never widened.

        Where faces at `end` vary more than those at `start`, widening would exaggerate chance variation. Where they vary
        less, codes are narrowed.
        """
        for index in reversed(range(len(self.scale))):
            before, after = start[:, index], end[:, index]
            _, narrow, _, _ = self._at(index, before)
            mean, stretch, rotation, mean_stretch = self._at(index, after)
            u = (u @ rotation * torch.minimum(stretch, narrow) / mean_stretch) @ rotation.T + mean
            u = self.shift_mean(index, u, torch.full_like(after, 0.5), after)
        return u

    def shift_mean(self, index: int, z: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """The first step alone: codes z [B, Z] of faces at `start` [B], as they would be at `end` [B].

        Beyond 0 and 1 the level is extrapolated, and slope and spread are constant.
        """
        q = self.direction[index]
        w = z @ q
        v = z - w[:, None] * q
        (mean_start, spread_start), (mean_end, spread_end) = (self._expected(index, v, t) for t in (start, end))
        return v + (mean_end + (w - mean_start) * spread_end / spread_start)[:, None] * q

    def _expected(self, index: int, v: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation [B] of w, given v [B, Z] and t [B]."""
        (level_0, level_1), (spread_0, spread_1) = self.level[index], self.spread[index]
        each = (v - self.centre[index]) @ self.slope[index].T
        within = t.clamp(0, 1)
        slope = torch.lerp(each[:, 0], each[:, 1], within)
        return level_0 + t * (level_1 - level_0) + slope, spread_0 + within * (spread_1 - spread_0)

    def end(self, target: Tensor) -> Tensor:
        """t at which an edit toward labels `target` [..., A] in [0, 1] ends."""
        return target + torch.lerp(-self.reach[:, 0], self.reach[:, 1], target)

    def _at(self, index: int, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        t, scale = t[:, None], self.scale[index]
        absent, present = self.means[index]
        stretch = torch.lerp(torch.ones_like(scale), scale, t.clamp(0, 1))
        return torch.lerp(absent, present, t), stretch, self.rotation[index], (1 + scale) / 2
