"""What VAC and IntroVAC share: a linear classifier on z, whose weights are the directions of edits.

Networks: encoder E: x -> (mu, log-variance of z), decoder G: z -> x, linear classifier C without bias: z -> one logit an
attribute. Row a of its weights is the normal w of the plane that parts attribute a's two classes.

    z_aug = z ± delta w / |w|,   x_aug = G(z_aug)      from the posterior mean z (Maggipinto et al., 2020, §4.2)

One delta serves all attributes and moves add up: amount 1 is 2 delta along each, the paper's setting is amount 1/2. The
paper moves by 5 for both attributes where it moves by 4 for one; with delta 4 that is amount .625 for each of the two.

That is `edit_rule` "step". With "plane" a face moves along w until it is at least so far on its new side of the plane that
parts the classes, whatever side it was on and however far: s w z / |w| becomes at least 2 delta (2 amount - 1), s = +-1 the
side. Every face ends in one plane, where after equal steps they end as far apart as they began; delta beyond is amount 3/4.
Directions are not orthogonal, so a move along one shifts what the others see: the shortest move after which all attributes
that are asked for are as far as asked is found for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from visagist.losses import mean_squared_error
from visagist.methods.base import Batch, Code
from visagist.methods.families.variational_autoencoder import CodeEditor
from visagist.networks.convolutional import Posterior
from visagist.networks.introspective import IntrospectiveDecoder, IntrospectiveEncoder, LinearClassifier

RANGE = 2.0  # the end of the range of edits, in deltas
SWEEPS = 50  # over the attributes of a plane edit


class ClassifierDirections(CodeEditor):
    """z is the posterior mean; an edit moves it along the classifier's weights."""

    capabilities = frozenset({"generate", "autoencode", "edit", "classify", "classify_latent", "edit_until"})
    paper_amount = 1 / RANGE
    inference_networks = ("encoder", "decoder", "classifier")
    other_classes: ClassVar[int] = 0  # logits of the classifier that come after those of the attributes

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if config.edit_rule == "plane":
            self.paper_amount = (1 + 1 / RANGE) / 2  # type: ignore[misc]
        backbone = IntrospectiveEncoder(image_size, config.width)
        self.encoder = Posterior(backbone, backbone.features, config.latent, 0)
        self.decoder = IntrospectiveDecoder(image_size, config.width, config.latent)
        self.classifier = LinearClassifier(config.latent, len(attributes) + self.other_classes)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate, betas = self.config.learning_rate, (self.config.adam_beta1, 0.999)
        return {name: torch.optim.Adam(network.parameters(), rate, betas) for name, network in self.networks().items()}

    def latent_logits(self, z: Tensor) -> Tensor:
        """Logits [B, A] that the attributes are present, of codes z [B, Z]."""
        return self.classifier(z)[:, : len(self.attributes)]

    def directions(self) -> Tensor:
        """w / |w| of each attribute, [A, Z]."""
        return F.normalize(self.classifier.weight[: len(self.attributes)], dim=1)

    def move(self, z: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        """Move codes z [B, Z] toward the classes `target` by `amount`, both [B, A]."""
        directions, side, length = self.directions(), 2 * target - 1, RANGE * self.config.edit_delta
        if self.config.edit_rule == "step":
            return z + (length * amount * side) @ directions
        missing = length * (2 * amount - 1) - side * (z @ directions.T)
        return z + (shortest_steps(missing, amount > 0, side, directions) * side) @ directions

    def edit_prepared(self, prepared: Code, target: Tensor, amount: Tensor) -> Tensor:
        return self.decode(Code(self.move(prepared.z, target, amount)))

    def edit_until(
        self, images: Tensor, target: Tensor, limit: Tensor, confidence: float, step: float = 0.05
    ) -> tuple[Tensor, Tensor]:
        """The paper's automated procedure (§4.2): move until the reconstruction is confidently classified."""
        z = self.encode(images).z
        amount = torch.zeros_like(limit)
        while True:
            edited = self.decode(Code(self.move(z, target, amount)))
            present = self.classify(edited)
            unsure = torch.where(target > 0.5, present, 1 - present) < confidence
            if not (unsure & (amount < limit)).any():
                return edited, amount
            amount = torch.where(unsure, torch.minimum(amount + step, limit), amount)

    def classify(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.latent_logits(self.encode(images).z))

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        code = self.encode(batch.images)
        accuracy = ((self.latent_logits(code.z) > 0) == (batch.labels > 0.5)).float().mean()
        return {"mse": mean_squared_error(self.decode(code), batch.images), "label_accuracy": accuracy}


def shortest_steps(missing: Tensor, asked: Tensor, side: Tensor, directions: Tensor) -> Tensor:
    """How far [B, A] to go along each unit direction [A, Z] to its `side`, +-1, so that nothing that is `asked` is missing.

    Of all moves that bring each asked attribute `missing` [B, A] farther, or more, the sum of these is the shortest. Found
    by Hildreth's (1957) method, one attribute after the other; of a single attribute it is what is missing, at least 0.
    """
    between = side[:, :, None] * side[:, None, :] * (directions @ directions.T)
    sweep: Callable[..., Tensor] = _sweep
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        sweep = torch.jit.script(_sweep)  # a loop of the exported graph, not as many copies of what is in it
    return sweep(missing, asked, between, SWEEPS if missing.shape[1] > 1 else 1)


def _sweep(missing: Tensor, asked: Tensor, between: Tensor, sweeps: int) -> Tensor:
    steps = torch.zeros_like(missing)
    columns = torch.arange(missing.shape[1], device=missing.device)
    for _ in range(sweeps):
        for a in range(missing.shape[1]):
            left = missing[:, a] - (between[:, a] * steps).sum(1) + between[:, a, a] * steps[:, a]
            step = torch.where(asked[:, a], left.clamp(min=0), torch.zeros_like(left))
            steps = torch.where(columns == a, step[:, None], steps)
    return steps
