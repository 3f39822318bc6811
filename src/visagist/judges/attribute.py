"""The attribute judge: a classifier that no method's training loss touches. Trained by the engine like any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from visagist.errors import VisagistError, nearest
from visagist.judges.architectures import AttentiveResNet, PlainConvNet, SqueezeExciteResNet
from visagist.judges.augmentation import degrade, mix_up, rotate_shift_erase, stretch_gamma_shade
from visagist.losses import label_cross_entropy
from visagist.methods.base import Batch, Losses, Trainable
from visagist.training.precision import decayed_adamw

AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotate_shift_erase": rotate_shift_erase,
    "stretch_gamma_shade": stretch_gamma_shade,
}


@dataclass(frozen=True)
class AttributeJudgeConfig:
    architecture: Literal["squeeze_excite_resnet", "plain_conv", "attentive_resnet"] = "squeeze_excite_resnet"
    augmentation: Literal["rotate_shift_erase", "stretch_gamma_shade"] = "rotate_shift_erase"
    fold: int = 2  # squares of this side become channels; 1: none
    stem: int = 32
    widths: tuple[int, ...] = (64, 128, 192)
    depths: tuple[int, ...] = (1, 1, 1)  # blocks, or convolutions, at each width
    hidden: int = 192
    dropout: float = 0.3
    mixup: float = 0.0  # Beta(mixup, mixup) of pairs of faces and of their labels; 0: none
    degraded: float = 0.0  # share of training faces to which is done what models do to pictures
    learning_rate: float = 3e-3
    weight_decay: float = 0.05


class AttributeJudge(Trainable):
    """Logits of every attribute from one network; the mean of a face's and its mirror image's logits is its score."""

    name = "judge"
    title: ClassVar[str] = "Attribute judge"
    Config = AttributeJudgeConfig
    best_metric: ClassVar[str | None] = "error"
    inference_networks = ("classifier",)
    config: AttributeJudgeConfig

    def __init__(self, config: AttributeJudgeConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        c, widths, depths = config, tuple(config.widths), tuple(config.depths)
        if c.augmentation not in AUGMENTATIONS:
            raise VisagistError(f"no augmentation {c.augmentation!r}: {nearest(c.augmentation, AUGMENTATIONS)}")
        self.augment = AUGMENTATIONS[c.augmentation]
        self.classifier: torch.nn.Module
        if len(depths) != len(widths) or min(depths) < 1:
            raise VisagistError(f"depths {depths} do not fit widths {widths}: give one from 1 on for each width")
        coarsest = c.fold * 2 ** (len(widths) - (c.architecture == "plain_conv"))
        if image_size % coarsest:
            raise VisagistError(f"image_size {image_size} does not fit this judge: use a multiple of {coarsest}, as 64")
        if c.architecture == "squeeze_excite_resnet":
            self.classifier = SqueezeExciteResNet(len(attributes), image_size, c.fold, c.stem, widths, depths, c.dropout)
        elif c.architecture == "attentive_resnet":
            self.classifier = AttentiveResNet(len(attributes), image_size, c.fold, c.stem, widths, depths, c.dropout)
        else:
            self.classifier = PlainConvNet(len(attributes), image_size, c.fold, widths, depths, c.hidden, c.dropout)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"classifier": decayed_adamw(self.classifier, self.config.learning_rate, self.config.weight_decay)}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        x, y = self.augment(batch.images), batch.labels
        if self.config.degraded:
            x = degrade(x, self.config.degraded)
        if self.config.mixup:
            x, y = mix_up(x, y, self.config.mixup)
        logits = self.classifier(x.contiguous(memory_format=torch.channels_last))
        L_class = label_cross_entropy(logits, y)
        self.log(label=L_class)
        yield {"classifier": L_class}

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, A] of images [B, 3, S, S], the mean over the face and its mirror image."""
        mirrored = images.flip(3).contiguous(memory_format=torch.channels_last)
        return 0.5 * (self.classifier(images) + self.classifier(mirrored))

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        logits = self(batch.images)
        error = ((logits > 0) != (batch.labels > 0.5)).float().mean()
        return {"error": error, "loss": label_cross_entropy(logits, batch.labels)}
