"""A refiner paints anew what an edit changes, so that it looks like a photograph. It learns from faces alone, without pairs.

    e, g       the guide's edit and its reconstruction of a face x, blurred both
    m          where the edit changes something, by the attribute's region and by the decode (`regions.py`)
    sketch     e inside m where the photograph is hidden, in the tone of what is visible around, else x + (e - g)
    R          paints inside m: from what is visible of the face, the sketch, m, and which attribute changes to what

    round trip   context x + k (e - g), k from .6 to 1.4, as if the face had the other class; sketch from g; target x:
                 L1, features of VGG-19, and a discriminator of patches
    real use     context x, sketch from e: the low frequencies follow the sketch, a teacher reads the class that was asked
                 for and nothing else, under the same discriminator

What is hidden cannot show through: in the round trip context and guide disagree, as they do in use, so that the network does
not learn to trust the context. The teacher scores nothing and calibrates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.errors import VisagistError
from visagist.judges.judge import Judge
from visagist.judges.teaching import teaching_losses
from visagist.methods.base import Batch, Losses, Trainable
from visagist.methods.families.clipped_adam import BETAS, clipped_adam
from visagist.networks.pretrained.vgg19 import load_vgg19
from visagist.networks.refinement import STRIDE, PatchDiscriminator, RefinementNetwork
from visagist.networks.regions import Grid, Window, paint_masks, region_of
from visagist.pixels import resize
from visagist.refining.guides import Guides
from visagist.settings import file_setting

# Of each window at 128 pixels: rows, columns, first row and column from … to, and how many faces of a batch are painted.
WINDOWS: dict[Window, tuple[int, int, tuple[int, int], tuple[int, int], int]] = {
    Window.LOWER: (64, 80, (48, 64), (16, 32), 16),
    Window.EYES: (64, 96, (24, 40), (8, 24), 16),
    Window.UPPER: (80, 128, (0, 0), (0, 0), 10),
    Window.WHOLE: (128, 128, (0, 0), (0, 0), 8),
}
SIDE = 128


@dataclass(frozen=True)
class RefinerConfig:
    """guides: models that edit, the first that knows an attribute takes it; teacher: a judge that neither scores nor
    calibrates; feature_weights: a file of VGG-19's weights; start: a refiner of the same settings to begin with;
    images_before_edits: images after which edits are painted too, not only faces painted again; edit_gan_weight: of the
    discriminator's say on edits, beside 1 on faces painted again."""

    guides: tuple[str, ...] = ("ifcvae-gan-factored-64", "vae-wgan-celeba-64")
    teacher: str = "teacher-64"
    start: str | None = None
    feature_weights: str | None = file_setting()
    widths: tuple[int, ...] = (48, 96, 128, 160)
    discriminator_widths: tuple[int, ...] = (48, 96, 160, 160)
    images_before_edits: int = 0
    pixel_weight: float = 4.0
    feature_weight: float = 1.0
    gan_weight: float = 0.05
    edit_gan_weight: float = 0.0
    follow_weight: float = 3.0
    class_weight: float = 0.0
    keep_weight: float = 0.0
    learning_rate: float = 3e-4
    discriminator_learning_rate: float = 3e-4


class Task(NamedTuple):
    """What one step paints: faces of the batch, attribute and class of each, and the window at 128 pixels."""

    faces: Tensor
    chosen: list[int]
    toward: Tensor
    window: Window
    rows: slice
    columns: slice


class Refiner(Trainable):
    """Paints what an editor's edit changes; trained on faces of 128 pixels and their labels, by `visagist train refiner`."""

    name = "refiner"
    kind: ClassVar[str] = "refiner"
    title: ClassVar[str] = "Refiner of edits"
    Config = RefinerConfig
    best_metric: ClassVar[str | None] = None
    inference_networks = ("refiner",)
    config: RefinerConfig

    def __init__(self, config: RefinerConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if image_size != SIDE:
            raise ValueError(f"image_size is {image_size}: a refiner paints faces of {SIDE} pixels")
        for side in (row[0] for row in WINDOWS.values()):
            assert side % STRIDE == 0
        self.refiner = RefinementNetwork(2 * len(attributes), config.widths)
        self.discriminator = PatchDiscriminator(config.discriminator_widths)
        self.grid = Grid("centre148", image_size)
        self._tools: tuple[Guides, Judge, nn.Module] | None = None
        self._digests: dict[str, str] = {}
        self.frequency = torch.full((len(attributes),), 0.5)

    def use_tools(self, guides: Guides, teacher: Judge, frequency: Sequence[float], digests: dict[str, str]) -> None:
        """What training needs beside faces: guides, the teacher, and how many faces in one have each attribute."""
        features, digest = load_vgg19(self.config.feature_weights)
        self._tools = guides, teacher, features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._digests = {**digests, "vgg19": digest}
        self.frequency = torch.tensor(frequency).clamp(0.02, 0.98)

    def begin_with(self, weights: Mapping[str, Tensor], attributes: Sequence[str], digest: str) -> None:
        """Take the first weights of another refiner, of these attributes or some of them.

        VisagistError where its networks are other ones, or it knows an attribute that is not learned.
        """
        if lost := [name for name in attributes if name not in self.attributes]:
            raise VisagistError(f"{self.config.start} paints {lost[0]}, which would be lost: learn it too")
        columns = [2 * self.attributes.index(name) + side for name in attributes for side in (0, 1)]
        begun, own = dict(weights), self.state_dict()
        for key in [key for key in own if ".conditions." in key and key.endswith(".weight") and key in begun]:
            wider = torch.zeros_like(own[key])
            wider[:, columns] = begun[key]
            begun[key] = wider
        try:
            self.load_state_dict(begun)
        except RuntimeError as error:
            raise VisagistError(f"{self.config.start} has other networks: leave `start` out") from error
        self._digests["start"] = digest

    @property
    def tools(self) -> tuple[Guides, Judge, nn.Module]:
        if self._tools is None:
            raise VisagistError("a refiner is trained by `visagist train refiner`, which gives it guides and a teacher")
        return self._tools

    def borrowed(self) -> dict[str, str]:
        return self._digests

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        critic = torch.optim.Adam(self.discriminator.parameters(), c.discriminator_learning_rate, BETAS, fused=True)
        return {"refiner": clipped_adam(self.refiner, c.learning_rate, fused=True), "discriminator": critic}

    def code(self, index: Sequence[int], toward: Tensor) -> Tensor:
        """[B, 2A]: 1 at the attribute and class that a face is changed to."""
        code = torch.zeros(len(index), 2 * len(self.attributes))
        code[torch.arange(len(index)), 2 * torch.tensor(index) + toward.long()] = 1
        return code

    def draw_task(self, labels: Tensor) -> Task:
        """Faces of a batch and an attribute for each, all of one window, as many of either class; and the window."""
        windows = [region_of(name).window for name in self.attributes]
        window = windows[int(torch.randint(len(windows), ()))]
        height, width, tops, lefts, count = WINDOWS[window]
        members = torch.tensor([i for i, other in enumerate(windows) if other == window])
        present, often = labels[:, members], self.frequency[members]
        chances = torch.where(present > 0.5, 1 / often, 1 / (1 - often))
        pairs = torch.multinomial(chances.flatten(), min(count, chances.numel()))
        faces, chosen = pairs // len(members), pairs % len(members)
        top, left = (int(torch.randint(low, high + 1, ())) for low, high in (tops, lefts))
        toward = 1 - present[faces, chosen]
        return Task(faces, members[chosen].tolist(), toward, window, slice(top, top + height), slice(left, left + width))

    def masks(
        self, index: Sequence[int], change: Tensor, toward: Tensor, *, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Masks [B, 1, S, S] of what is painted and what is hidden in edits toward classes [B]; in training they vary."""
        names = [self.attributes[i] for i in index]
        if not training:
            joined = torch.tensor([region_of(name).joins[int(value)] for name, value in zip(names, toward.tolist())])
            return paint_masks(self.grid, names, change, joined=joined)
        loosened = 0.7 + 1.3 * float(torch.rand(()))
        return paint_masks(self.grid, names, change, jitter=True, loosened=loosened, joined=torch.rand(len(index)) < 0.6)

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c, (guides, teacher, features) = self.config, self.tools
        task = self.draw_task(batch.labels)
        x = batch.images[task.faces].contiguous()
        rebuilt, edited = guides.pairs(x, task.chosen, task.toward, 0.7 + 0.3 * float(torch.rand(())))
        change = edited - rebuilt
        m, h = self.masks(task.chosen, change, task.toward, training=True)
        context = self._other_class(x, change)
        sketch = sketch_of(context - change, rebuilt + tone_around(context - rebuilt, h), h)
        tasks = [(context, sketch, self.code(task.chosen, 1 - task.toward))]
        if self.images_seen >= c.images_before_edits:
            sketch = sketch_of(x + change, edited + tone_around(x - rebuilt, h), h)
            tasks.append((x, sketch, self.code(task.chosen, task.toward)))
        cut = (..., task.rows, task.columns)
        xc, mc = x[cut], m[cut]
        visible, sketch, code = (torch.cat(parts) for parts in zip(*tasks))
        sketch, masks = sketch[cut], mc.repeat(len(tasks), 1, 1, 1)
        inputs = visible[cut], sketch, masks, h[cut].repeat(len(tasks), 1, 1, 1)
        painted = self.refiner(*(t.contiguous(memory_format=torch.channels_last) for t in inputs), code)
        again, *edits = torch.lerp(xc.repeat(len(tasks), 1, 1, 1), painted, masks).chunk(len(tasks))
        judged = edits if c.edit_gan_weight else []
        # Outside the mask the sketch of a real pair is its picture and that of an edit is not: it would tell them apart.
        thrice = mc.repeat(2 + len(judged), 1, 1, 1)
        beside = torch.cat([sketch[: len(x)], sketch[: len(x) * (1 + len(judged))]]) * thrice
        scores = self.discriminator(torch.cat([xc, again, *judged]), beside, thrice)
        real, *fakes = scores.float().chunk(2 + len(judged))
        weights = F.adaptive_max_pool2d(mc, real.shape[-2:])
        weights = weights / (weights.sum() + 1e-6)
        L_pixel = ((again - xc).abs() * mc).sum() / (3 * mc.sum() + 1e-6)
        L_feature = self._feature_distance(features, xc, again)
        L_gan = -sum(share * (fake * weights).sum() for share, fake in zip((1.0, c.edit_gan_weight), fakes, strict=False))
        L = c.pixel_weight * L_pixel + c.feature_weight * L_feature + c.gan_weight * L_gan
        L_d = ((F.relu(1 - real) + sum(F.relu(1 + fake) for fake in fakes) / len(fakes)) * weights).sum()
        self.log(pixel=L_pixel, feature=L_feature, gan=L_gan, discriminator=L_d)
        for edit in edits:
            L = L + self._real_use(teacher, x, edit, sketch[len(x) :], mc, task)
        yield {"refiner": L, "discriminator": L_d}

    def _real_use(self, teacher: Judge, x: Tensor, edit: Tensor, sketch: Tensor, m: Tensor, task: Task) -> Tensor:
        """The loss of edited windows [B, 3, H, W]: low frequencies follow the sketch, and what the teacher reads."""
        c, pooled = self.config, F.avg_pool2d(m, 4)
        L_follow = ((F.avg_pool2d(edit, 4) - F.avg_pool2d(sketch, 4)).abs() * pooled).sum() / (3 * pooled.sum() + 1e-6)
        self.log(follow=L_follow)
        if not c.class_weight and not c.keep_weight:
            return c.follow_weight * L_follow
        whole = x.clone()
        whole[..., task.rows, task.columns] = edit
        names = [self.attributes[i] for i in task.chosen]
        L_class, L_keep = teaching_losses(teacher, x, whole, names, task.toward)
        self.log(label=L_class, keep=L_keep)
        return c.follow_weight * L_follow + c.class_weight * L_class + c.keep_weight * L_keep

    def _other_class(self, x: Tensor, change: Tensor) -> Tensor:
        """The face as if it had the other class: its pixels with the change of the decode; half of them blurred."""
        context = (x + change * (0.6 + 0.8 * float(torch.rand(())))).clamp(0, 1)
        if torch.rand(()) < 0.5:
            small = round(SIDE / (2, 3, 5)[int(torch.randint(3, ()))])
            context = resize(resize(context, small), SIDE)
        return context

    def _feature_distance(self, features: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        layers = ("relu1_1", "relu2_1", "relu3_1")
        targets, made = features(x, layers), features(y, layers)
        return torch.stack([
            (made[name].float() - targets[name].float()).abs().mean() / (targets[name].float().abs().mean() + 1e-6)
            for name in layers
        ]).sum()  # fmt: skip

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The error inside the mask of painting faces again, and the share of edits that the teacher reads as asked for."""
        guides, teacher, _ = self.tools
        x = batch.images
        index = [i % len(self.attributes) for i in range(len(x))]
        rows = torch.arange(len(x))
        toward = 1 - batch.labels[rows, torch.tensor(index)]
        rebuilt, edited = guides.pairs(x, index, toward, 1.0)
        m, h = self.masks(index, edited - rebuilt, toward)
        edit = self.paint(x, edited, rebuilt, m, h, self.code(index, toward))
        again = self.paint(x, rebuilt, rebuilt, m, h, self.code(index, 1 - toward))
        logits = teacher.model(resize(edit, teacher.image_size)).float()
        columns = torch.tensor([teacher.attributes.index(self.attributes[i]) for i in index])
        success = ((logits[rows, columns] > 0) == (toward > 0.5)).float().mean()
        return {"error": ((again - x).abs() * m).sum() / (3 * m.sum() + 1e-6), "success": success}

    @torch.inference_mode()
    def take(self, images: Any, device: Any) -> Tensor:
        """Faces as what `repaint` takes: a tensor on the device."""
        return torch.as_tensor(images).to(device)

    def repaint(self, x: Tensor, attribute: str, toward: float, edited: Tensor, rebuilt: Tensor) -> Tensor:
        """Faces [B, 3, S, S] with one attribute changed to class `toward`, after the decodes of the edit and without one."""
        index = [self.attributes.index(attribute)] * len(x)
        edited, rebuilt = resize(edited, self.image_size), resize(rebuilt, self.image_size)
        classes = torch.full((len(x),), toward)
        m, h = self.masks(index, edited - rebuilt, classes)
        code = self.code(index, classes)
        return self.paint(x, edited, rebuilt, m, h, code, self.grid.box(attribute, STRIDE))

    def paint(
        self, x: Tensor, edited: Tensor, rebuilt: Tensor, m: Tensor, h: Tensor, code: Tensor,
        box: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> Tensor:  # fmt: skip
        """Faces [B, 3, S, S] with the part inside the mask painted anew after the edited decode; outside they stay.

        The network sees the rows and columns of `box` alone, which must hold the mask.
        """
        sketch = sketch_of(x + edited - rebuilt, edited + tone_around(x - rebuilt, h), h)
        cut = (..., *box)
        inputs = (t[cut].contiguous(memory_format=torch.channels_last) for t in (x, sketch, m, h))
        painted = x.clone()
        painted[cut] = torch.lerp(x[cut], self.refiner(*inputs, code), m[cut]).clamp(0, 1)
        return painted


def tone_around(difference: Tensor, hidden: Tensor, cells: int = 8) -> Tensor:
    """What a photograph is lighter or of other colour than its reconstruction [B, 3, S, S], as far as it is visible.

    The mean of cells of the picture; where a face is hidden, of the visible parts near by, so that nothing hidden shows.
    """
    cell = int(difference.shape[-1]) // cells
    weight = F.avg_pool2d(1 - hidden, cell)
    value = F.avg_pool2d(difference * (1 - hidden), cell)
    for _ in range(4):
        value, weight = (F.avg_pool2d(v, 3, 1, 1, count_include_pad=False) * 0.1 + v for v in (value, weight))
    tone = value / weight.clamp(min=1e-4)
    return F.interpolate(tone, size=difference.shape[2:], mode="bilinear", align_corners=False)


def sketch_of(seen: Tensor, painted: Tensor, hidden: Tensor) -> Tensor:
    """What a refiner starts from: `seen` where the photograph is visible, `painted` where it is hidden; in [0, 1]."""
    return torch.lerp(seen, painted, hidden).clamp(0, 1)
