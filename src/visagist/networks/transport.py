"""Codes from which a binary attribute is taken by optimal transport, and given back.

Codes of faces without the attribute are taken as N(m_0, S_0), with it as N(m_1, S_1). The optimal transport from the first
to the second is z -> m_1 + M (z - m_0) with a symmetric M (Dowson and Landau, 1982). A face in between, at t in [0, 1], has

    z = m_t + M_t v,   m_t = (1 - t) m_0 + t m_1,   M_t = (1 - t) I + t M,

the displacement interpolation (McCann, 1997). What is kept of z is u = M_1/2 v, about where the face would be at t = 1/2.
Mean and covariance of u are the same with and without the attribute, and the way back is exact. All M_t share the
eigenvectors of M, so either way is two rotations and a scaling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Between these probabilities t rises from 0 to 1: a classifier's reading of .05 or .2 says absent, not a fifth of a smile.
ABSENT, PRESENT = 0.25, 0.75


def share_present(y: Tensor) -> Tensor:
    """t in [0, 1] for probabilities y of any shape."""
    return ((y - ABSENT) / (PRESENT - ABSENT)).clamp(0, 1)


class ClassTransport(nn.Module):
    """One transport for each attribute, one after another; they change nothing before `set_attribute`.

    Buffers: `means` [A, 2, Z], absent and present; `rotation` [A, Z, Z], eigenvectors of M as columns; `scale` [A, Z], its
    eigenvalues; `reach` [A, 2], how far beyond the mean of the absent and of the present an edit goes, over the distance of
    both means.
    """

    means: Tensor
    rotation: Tensor
    scale: Tensor
    reach: Tensor

    def __init__(self, latent: int, attributes: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(attributes, 2, latent))
        self.register_buffer("rotation", torch.eye(latent).repeat(attributes, 1, 1))
        self.register_buffer("scale", torch.ones(attributes, latent))
        self.register_buffer("reach", torch.zeros(attributes, 2))

    def reset(self) -> None:
        """Change nothing again."""
        self.means.zero_()
        self.rotation.copy_(torch.eye(self.scale.shape[1]))
        self.scale.fill_(1)
        self.reach.zero_()

    def set_attribute(self, place: int, means: Tensor, rotation: Tensor, scale: Tensor) -> None:
        """Take the transport of the attribute at `place`: means [2, Z], rotation [Z, Z], scale [Z]."""
        for buffer, value in ((self.means, means), (self.rotation, rotation), (self.scale, scale)):
            buffer[place].copy_(value)

    def forget(self, z: Tensor, t: Tensor) -> Tensor:
        """u [B, Z] of codes z [B, Z] of faces at t [B, A]."""
        for place in range(len(self.scale)):
            z = self.forget_one(place, z, t[:, place])
        return z

    def forget_one(self, place: int, z: Tensor, t: Tensor) -> Tensor:
        """As `forget`, of one attribute alone; t [B]."""
        mean, stretch, rotation, middle = self._at(place, t)
        return ((z - mean) @ rotation / stretch * middle) @ rotation.T

    def remember(self, u: Tensor, t: Tensor) -> Tensor:
        """The inverse of `forget` at the same t; at another, the code of the face with other attributes.

        Beyond 0 and 1 the mean goes on, and the stretch stays what it is there.
        """
        for place in reversed(range(len(self.scale))):
            mean, stretch, rotation, middle = self._at(place, t[:, place])
            u = (u @ rotation * stretch / middle) @ rotation.T + mean
        return u

    def end(self, target: Tensor) -> Tensor:
        """t at which an edit toward labels `target` [..., A] in [0, 1] ends."""
        return target + torch.lerp(-self.reach[:, 0], self.reach[:, 1], target)

    def _at(self, place: int, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        t, scale = t[:, None], self.scale[place]
        absent, present = self.means[place]
        stretch = torch.lerp(torch.ones_like(scale), scale, t.clamp(0, 1))
        return torch.lerp(absent, present, t), stretch, self.rotation[place], (1 + scale) / 2
