"""Masked residuals: one U-Net edits many attributes of a face, each by a residual inside a mask.

Of this project, out of known parts: masked changes (GANimation; Pumarola et al., 2018), a discriminator with a head for each
class (StarGAN v2; Choi et al., 2020) that reads labels too (StarGAN, AttGAN; Choi et al., 2018, He et al., 2019), and a way
back (CycleGAN; Zhu et al., 2017). Nothing passes a code: what is not edited stays, pixel by pixel.

    m, r = G(x, c)     c: one attribute a and the class w that it changes to; m is 0 outside a's region
    y = x + m r
    L_D = hinge of head (a, w): real faces x' with a = w, faces y  +  sigma cross-entropy of the labels of x, x'
    L_G = - head (a, w) of y  +  rho (hinge of the reading of a in y  +  kappa: the other readings stay those of x)
          +  lambda |y + m' r' - x|_1, back again  +  alpha |y - x|_1
          +  tau hinge of the teacher's reading of a in y  +  tau' : its other readings stay those of x

Which faces meet matters more than any weight. x' is drawn among the faces of the batch with a = w, the likelier the more of
its other labels are those of x; so is x among the faces with a != w. Faces that what goes along with a does not tell apart
leave a itself to the discriminator: these are overlap weights, drawn (Li, Morgan and Zaslavsky, 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from visagist.errors import VisagistError
from visagist.methods.base import Batch, Losses
from visagist.methods.families.clipped_adam import BETAS, clipped_adam
from visagist.methods.families.stepwise import StepwiseMethod
from visagist.networks.masked_residual import ClassHeads, CodedUNet, MaskedColourNetwork, MaskedResidualNetwork
from visagist.networks.regions import Grid, region_of, soften

# Faces before and after, attribute and class of each: how far from the class, and how far from what else was read.
TeachingLosses = Callable[[Tensor, Tensor, Sequence[str], Tensor], tuple[Tensor, Tensor]]
Form = Literal["residual", "colours"]
Features = Callable[[Tensor], Sequence[Tensor]]
PINK, VIVID = 0.06, 0.5  # blue over green of pink lips; the largest less the smallest part of red lips
SURE = 3.0  # logits of the discriminator's reading beyond which a class is clear


@dataclass(frozen=True)
class MaskedResidualConfig:
    """How faces are edited, and what says how well.

    form              a residual inside a mask, or transforms of colour, as many as `colours`, each inside a mask of its own
    shared            masks of colours are the same for every attribute and class
    crop              of the faces, which says where the regions of attributes are
    pairs             faces that a step edits
    likeness          logits that each label in common adds to the chance of a pair
    matched           attributes that are not edited, whose labels pairs are to have in common
    match             logits that each of those adds
    teacher           judges that neither score nor calibrate, with commas between them
    feature_channels  stages of the first teacher, by their channels, that the discriminator sees beside pixels
    hue_weight        of `strange_hues`
    reach             times the change that training asks for is the most that an edit makes
    """

    form: Form = "residual"
    colours: int = 2
    shared: bool = False
    width: int = 48
    discriminator_width: int = 64
    crop: str = "centre148"
    pairs: int = 16
    likeness: float = 0.6
    matched: tuple[str, ...] = ()
    match: float = 4.0
    class_weight: float = 0.05  # rho
    label_weight: float = 3.0  # sigma
    teacher: str | None = None
    feature_channels: tuple[int, ...] = ()
    teacher_weight: float = 0.2  # tau
    stay_weight: float = 3.0  # tau'
    keep_weight: float = 0.5  # kappa, for each attribute
    back_weight: float = 5.0  # lambda
    pixel_weight: float = 2.0  # alpha
    hue_weight: float = 0.0  # eta
    reach: float = 1.0
    learning_rate: float = 3e-4
    discriminator_learning_rate: float = 3e-4


class Pairs(NamedTuple):
    """Faces to be edited and real ones of the class asked for, by rows of the batch; attributes and classes; all [K]."""

    faces: Tensor
    real: Tensor
    attribute: Tensor
    toward: Tensor


class MaskedResidual(StepwiseMethod):
    """Edits of many attributes by one U-Net; it has no code and draws no faces."""

    name = "masked-residual"
    title = "Masked residuals of a U-Net"
    paper = "this project"
    Config = MaskedResidualConfig
    best_metric = None  # no metric of the method ranks edits
    inference_networks = ("generator",)
    config: MaskedResidualConfig

    def __init__(self, config: MaskedResidualConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.recolours = config.form == "colours"
        if image_size % CodedUNet.STRIDE:
            raise ValueError(f"image_size is {image_size}: it must be a multiple of {CodedUNet.STRIDE}")
        codes = 2 * len(attributes)
        self.generator: MaskedResidualNetwork | MaskedColourNetwork = (
            MaskedResidualNetwork(codes, config.width) if config.form == "residual"
            else MaskedColourNetwork(codes, config.width, config.colours, config.shared)
        )  # fmt: skip
        self._teaching: TeachingLosses | None = None
        self._digests: dict[str, str] = {}
        self._features: Features | None = None
        self.discriminator = ClassHeads(len(attributes), config.discriminator_width, config.feature_channels)
        with torch.device("cpu"):  # values, which checkpoints do not hold
            grid = Grid(config.crop, image_size)
            self.limits = soften(torch.stack([grid.limit(region_of(name)).float() for name in attributes])[:, None])

    @classmethod
    def labels_beside(cls, config: MaskedResidualConfig) -> tuple[str, ...]:
        return config.matched

    def use_teacher(self, teaching: TeachingLosses, digests: dict[str, str], features: Features | None = None) -> None:
        """What the teachers that the settings name say of edits, as losses; their names with the SHA-256 of their weights;
        and the features that the discriminator sees of faces."""
        self._teaching, self._digests, self._features = teaching, digests, features

    def borrowed(self) -> dict[str, str]:
        return self._digests

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        critic = torch.optim.Adam(self.discriminator.parameters(), c.discriminator_learning_rate, BETAS)
        return {"generator": clipped_adam(self.generator, c.learning_rate), "discriminator": critic}

    def change(self, x: Tensor, attribute: Tensor, toward: Tensor) -> Tensor:
        """What is added to faces [B, 3, S, S] to change one attribute of each, [B], toward a class, [B]."""
        code = F.one_hot(2 * attribute + toward.long(), 2 * len(self.attributes)).to(x)
        change: Tensor = self.generator(x.contiguous(memory_format=torch.channels_last), code)
        return self.limits.to(x.device)[attribute] * change

    def draw_pairs(self, labels: Tensor) -> Pairs:
        """`pairs` edits of a batch with labels [B, A + matched]: each attribute and class as often, of faces that are alike.

        VisagistError where the batch has one class alone of every attribute.
        """
        edited = len(self.attributes)
        weight = labels.new_tensor([self.config.likeness] * edited + [self.config.match] * (labels.shape[1] - edited))
        common = (weight * labels) @ labels.T + (weight * (1 - labels)) @ (1 - labels).T
        both = ((labels > 0.5).any(0) & (labels < 0.5).any(0))[:edited].nonzero()[:, 0]
        if not len(both):
            raise VisagistError(f"the {len(labels)} faces of a batch have the same labels: give a larger batch_size")
        attribute = both[torch.randint(len(both), (self.config.pairs,))]
        toward = torch.randint(2, (self.config.pairs,)).to(labels)
        faces, real = [], []
        for a, w in zip(attribute.tolist(), toward.tolist()):
            sources, targets = ((labels[:, a] > 0.5) != w).nonzero()[:, 0], ((labels[:, a] > 0.5) == w).nonzero()[:, 0]
            chances = torch.softmax(common[sources][:, targets].flatten(), 0)
            pair = int(torch.multinomial(chances, 1))
            faces.append(sources[pair // len(targets)])
            real.append(targets[pair % len(targets)])
        return Pairs(torch.stack(faces), torch.stack(real), attribute, toward)

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        faces, real, attribute, toward = self.draw_pairs(batch.labels)
        x, other = batch.images[faces], batch.images[real]
        y = x + self.change(x, attribute, toward)
        scores, readings = self._discriminate(torch.cat([other, y, x]), 2 * len(x))
        rows, head = torch.arange(len(x)), 2 * attribute + toward.long()
        true, made = ([score[i * len(x) :][rows, head] for score in scores] for i in (0, 1))
        L_hinge = torch.stack([F.relu(1 - t).mean() + F.relu(1 + m).mean() for t, m in zip(true, made)]).sum()
        read_other, read_made, read_face = readings.chunk(3)
        known = batch.labels[torch.cat([real, faces]), : len(self.attributes)]
        L_label = F.binary_cross_entropy_with_logits(torch.cat([read_other, read_face]), known)
        L_adversarial = -torch.stack([score.mean() for score in made]).sum()
        L_class = F.relu(SURE - read_made[rows, attribute] * (2 * toward - 1)).mean()
        kept = torch.ones_like(read_made)
        kept[rows, attribute] = 0
        moved = (read_made.sigmoid() - read_face.detach().sigmoid()).abs()
        L_keep = (moved * kept).sum() / kept.sum().clamp(min=1)
        L_pixel, L_hue = F.l1_loss(y, x), strange_hues(x, y).mean()
        L_G = L_adversarial + c.pixel_weight * L_pixel + c.hue_weight * L_hue
        L_G = L_G + c.class_weight * (L_class + c.keep_weight * len(self.attributes) * L_keep)
        if c.back_weight:
            L_back = F.l1_loss(y + self.change(y, attribute, 1 - toward), x)
            L_G = L_G + c.back_weight * L_back
            self.log(back=L_back)
        if self._teaching is not None:
            L_teacher, L_stay = self._teaching(x, y, [self.attributes[a] for a in attribute.tolist()], toward)
            L_G = L_G + c.teacher_weight * L_teacher + c.stay_weight * L_stay
            self.log(teacher=L_teacher, stay=L_stay)
        self.log(
            discriminator=L_hinge, labels=L_label, adversarial=L_adversarial, label=L_class, keep=L_keep,
            pixels=L_pixel, hue=L_hue,
        )  # fmt: skip
        yield {"generator": L_G, "discriminator": L_hinge + c.label_weight * L_label}

    def _discriminate(self, faces: Tensor, scored: int) -> tuple[list[Tensor], Tensor]:
        """Scores of the first faces, as many as are `scored` at least, and readings of all."""
        return self.discriminator(faces, () if self._features is None else self._features(faces[:scored]))

    def edit_one(self, images: Tensor, attribute: Tensor, toward: Tensor, amount: Tensor) -> Tensor:
        """A face and its mirror image are edited alike: the change is the mean of both ways to see it."""
        seen = torch.cat([images, images.flip(3)])
        plain, mirrored = self.change(seen, attribute.repeat(2), toward.repeat(2)).chunk(2)
        change = (plain + mirrored.flip(3)) / 2
        return (images + self.config.reach * amount[:, None, None, None] * change).clamp(0, 1)

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The mean change of a pixel, and the share of faces that the discriminator reads as of the other class."""
        rows = torch.arange(len(batch.images))
        attribute = rows % len(self.attributes)
        toward = 1 - batch.labels[rows, attribute]
        change = self.change(batch.images, attribute, toward)
        _, readings = self._discriminate(batch.images + change, len(change))
        read = (readings[rows, attribute] > 0) == (toward > 0.5)
        return {"pixels": change.abs().mean(), "read": read.float().mean()}


def strange_hues(before: Tensor, after: Tensor) -> Tensor:
    """How much greener or bluer than skin, lips and hair are [B, S, S] pixels become, or how much more vivid than those.

    Of skin and hair of every colour red is the largest and blue the smallest part; lips may be a little bluer than green.
    """

    def beyond(x: Tensor) -> Tensor:
        red, green, blue = x.unbind(1)
        vivid = x.amax(1) - x.amin(1)
        return torch.stack([F.relu(green - red), F.relu(blue - green - PINK), F.relu(vivid - VIVID)], 1)

    return F.relu(beyond(after) - beyond(before)).sum(1)
