"""Train the landmark network: a published detector reads upright faces, ours learns to read rotated ones.

Every training picture is aligned. The teacher, MTCNN's output network, reads it in its usual box. The picture is then
rotated by up to 45 degrees, scaled, shifted and degraded, the teacher's points are transformed alike, and the network learns
them. Half of the pictures are mirrored against a bias to one side. Some are replaced by drawn faces, whose points are known.
Faces that are turned to the side are shown more often. Negatives are boxes beside faces, inside them and the wrong way up,
textures and photographs without faces: a face is chosen among readings of it by how sure the network is of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.errors import VisagistError
from visagist.faces.augmentation import (
    GROUNDS,
    Boxes,
    crop_boxes,
    degrade,
    from_box,
    ground_files,
    jittered_boxes,
    negative_boxes,
    outside_picture,
    read_grounds,
    textures,
    to_box,
)
from visagist.faces.points import CROP_SCALE, SPREAD
from visagist.faces.pose import yaw
from visagist.files import find_in_package, sha256_of
from visagist.methods.base import Batch, Losses, Trainable
from visagist.networks.landmarks import LandmarkNet, landmark_loss
from visagist.networks.pretrained.onet import SIDE, ONet, read_onet
from visagist.pixels import to_float
from visagist.settings import file_setting
from visagist.training.precision import decayed_adamw

# Where the teacher looks, in pixels of CelebA's aligned pictures of 178×218: middle and width.
TEACHER_BOX = ((89.0, 129.0), 93.0)
CROP = "centre178"
TURNED, FAR_TURNED = 25.0, 45.0  # degrees from which on faces are shown more often


@dataclass(frozen=True)
class LandmarkFinderConfig:
    """Settings of the landmark network.

    teacher      a file with the weights of MTCNN's output network; None: that of the package facenet_pytorch
    drawn        of the faces, the share that is drawn; at 1 nobody teaches
    nothing      of all pictures, the share that shows no face
    drawings     how many drawn faces there are to choose from
    grounds      a folder of photographs without faces, beside the drawn grounds; None: drawn ones alone
    turned_more  how much more often faces are shown that are turned to the side, and those that are turned far
    """

    side: int = 64
    widths: tuple[int, ...] = (16, 32, 64, 96)
    hidden: int = 128
    teacher: str | None = file_setting()
    drawn: float = 0.1
    drawings: int = 1500
    nothing: float = 0.45
    grounds: str | None = file_setting()
    drawn_grounds: int = GROUNDS
    turned_more: tuple[float, ...] = (2.0, 8.0)
    sureness_weight: float = 0.5
    slack: float = 0.04
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


class LandmarkFinder(Trainable):
    """Five points and the confidence of a face in rotated boxes. Training pictures [B, 3, S, S] are aligned, `centre178`."""

    name = "landmarks"
    kind: ClassVar[str] = "landmarks"
    title: ClassVar[str] = "Landmark network of find_faces"
    Config = LandmarkFinderConfig
    best_metric: ClassVar[str | None] = "error"
    inference_networks = ("network",)
    config: LandmarkFinderConfig

    def __init__(self, config: LandmarkFinderConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if config.side % 2 ** len(config.widths):
            halved = 2 ** len(config.widths)
            raise VisagistError(f"side {config.side} does not fit {len(config.widths)} widths: use a multiple of {halved}")
        self.network = LandmarkNet(config.side, tuple(config.widths), config.hidden)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"network": decayed_adamw(self.network, self.config.learning_rate, self.config.weight_decay)}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        with torch.autocast(batch.images.device.type, enabled=False):  # coordinates must be exact
            x, points, unit, is_face = self._make_crops(*self._label(batch.images))
        predicted, sureness = self.network(x.contiguous(memory_format=torch.channels_last))
        points, unit, is_face = (value.to(predicted.device) for value in (points, unit, is_face))
        L_points = landmark_loss(predicted.float()[is_face], points[is_face], unit[is_face], self.config.slack)
        L_sureness = F.binary_cross_entropy_with_logits(sureness.float(), is_face.float())
        self.log(points=L_points, sureness=L_sureness)
        yield {"network": L_points + self.config.sureness_weight * L_sureness}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Points [B, 5, 2] in shares of the picture, logits [B] that it shows a face, of pictures [B, 3, side, side]."""
        points, sureness = self.network(images)
        return points, sureness

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        with torch.random.fork_rng(), torch.autocast(batch.images.device.type, enabled=False):
            torch.manual_seed(0)
            pictures, points = self._label(batch.images)
            unit = eye_distance(points)
            boxes = jittered_boxes(points, unit, CROP_SCALE, torch.zeros(len(points), dtype=torch.bool))
            first = self.network(crop_boxes(pictures, boxes, self.config.side))[0].cpu()
            again = upright_boxes(from_box(first, boxes))
            second = from_box(self.network(crop_boxes(pictures, again, self.config.side))[0].cpu(), again)
            x, _, _, is_face = self._make_crops(pictures, points)
            sureness = self.network(x)[1].cpu()
        errors = [((p - points).norm(dim=-1) / unit[:, None]).mean() for p in (from_box(first, boxes), second)]
        return {"error": errors[1], "error_at_first": errors[0], "mistaken": ((sureness > 0) != is_face).float().mean()}

    def borrowed(self) -> dict[str, str]:
        grounds = {path.name: sha256_of(path) for path in ground_files(self.config.grounds)}
        return grounds if self.config.drawn >= 1 else {"mtcnn-onet": self._teacher[1], **grounds}

    def config_dict(self) -> dict[str, Any]:
        # Paths of the teacher's file and of the grounds are no facts about the model; `borrowed` has their hashes.
        return {**super().config_dict(), "teacher": None, "grounds": None}

    def _make_crops(self, pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops [B, 3, side, side], points and the distance of the eyes in them, whether each shows a face [B]."""
        b, side = len(points), self.config.side
        rows = self._choose(points)
        pictures, points = pictures[rows], points[rows]
        unit = eye_distance(points)
        is_face = torch.rand(b) >= self.config.nothing
        faces = jittered_boxes(points, unit, CROP_SCALE, torch.rand(b) < 0.6)
        others = negative_boxes(points, unit, CROP_SCALE)
        boxes = Boxes(*(torch.where(is_face.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(faces, others)))
        x, nothing = crop_boxes(pictures, boxes, side), self._nothing(b)
        x = torch.where(outside_picture(boxes, side, pictures.shape[-1]) & (torch.rand(b, 1, 1, 1) < 0.6), nothing, x)
        blank = ~is_face & (torch.rand(b) < 0.3)
        x[blank] = nothing[blank]
        return degrade(x), to_box(points, boxes), unit / boxes.width, is_face

    def _choose(self, points: Tensor) -> Tensor:
        """Rows [B] of a batch, drawn with replacement, those of faces that are turned to the side more often."""
        return torch.multinomial(turned_weights(points, *self.config.turned_more), len(points), replacement=True)

    def _nothing(self, number: int) -> Tensor:
        """Pictures [number, 3, side, side] without faces: textures, and squares of the grounds."""
        side, whole = self.config.side, self._grounds.shape[-1]
        chosen = self._grounds[torch.randint(len(self._grounds), (number,))].float() / 255
        width = whole * torch.exp(torch.rand(number) * -2)
        boxes = Boxes(torch.rand(number, 2) * whole, width, torch.rand(number) * 6.3)
        return torch.where(torch.rand(number, 1, 1, 1) < 0.3, textures(number, side), crop_boxes(chosen, boxes, side))

    def _label(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, some replaced by drawn ones, and their points [B, 5, 2] in pixels."""
        drawings, truth = self._drawings
        chosen = torch.rand(len(pictures)) < self.config.drawn
        which = torch.randint(len(drawings), (len(pictures),))
        points = truth[which]
        if not chosen.all():
            points[~chosen] = self._teacher_points(pictures[~chosen])
        mixed = pictures.clone()
        mixed[chosen] = to_float(drawings[which[chosen]], pictures.device)
        return mixed, points

    @torch.no_grad()
    def _teacher_points(self, pictures: Tensor) -> Tensor:
        """The teacher's points [B, 5, 2] in pixels of aligned pictures; each picture is read once."""
        step = max(pictures.shape[-1] // 6, 1)
        few = (pictures[:, :, ::step, ::step] * 255).round().byte().cpu().numpy()
        keys = [row.tobytes() for row in few]
        new = [row for row, key in enumerate(keys) if key not in self._readings]
        if new:
            self._readings.update(zip([keys[row] for row in new], self._read(pictures[new])))
        return torch.stack([self._readings[key] for key in keys])

    def _read(self, pictures: Tensor) -> Tensor:
        left, top, right, _ = CROPS[CROP](*ALIGNED_SIZE)
        scale, b = pictures.shape[-1] / (right - left), len(pictures)
        center = (torch.tensor(TEACHER_BOX[0]) - torch.tensor([left, top])) * scale - 0.5
        boxes = Boxes(center.expand(b, 2), torch.full((b,), TEACHER_BOX[1] * scale), torch.zeros(b))
        x = (255 * crop_boxes(pictures, boxes, SIDE).cpu() - 127.5) / 128
        return from_box(self._teacher[0](x.contiguous(memory_format=torch.channels_last)), boxes)

    @cached_property
    def _readings(self) -> dict[bytes, Tensor]:
        return {}

    @cached_property
    def _teacher(self) -> tuple[ONet, str]:
        path = _teacher_file(self.config.teacher)
        return read_onet(path).requires_grad_(False), sha256_of(path)

    @cached_property
    def _grounds(self) -> Tensor:
        return read_grounds(self.config.grounds, self.config.drawn_grounds)

    @cached_property
    def _drawings(self) -> tuple[Tensor, Tensor]:
        from visagist.data.drawn.synthetic import SyntheticFaces  # draws with skia, which finding faces does without

        faces = SyntheticFaces(self.config.drawings, image_size=self.image_size, seed=20_000)
        return torch.from_numpy(faces.render()), torch.from_numpy(faces.all_landmarks())


def turned_weights(points: Tensor, more: float, far_more: float) -> Tensor:
    """How often [B] faces with these points [B, 5, 2] are shown, 1 of those that look ahead; more where they are turned."""
    angle = torch.from_numpy(np.abs(np.nan_to_num(yaw(points.numpy()))))
    return 1 + more * (angle > TURNED) + far_more * (angle > FAR_TURNED)


def eye_distance(points: Tensor) -> Tensor:
    """The distance [B] of the eyes of faces [B, 5, 2] if they were frontal, from all five points."""
    return (points - points.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt() / SPREAD


def upright_boxes(points: Tensor) -> Boxes:
    """The boxes in which faces with these points [B, 5, 2] are upright and centered."""
    across = points[:, 1] - points[:, 0]
    down = points[:, 3:].mean(1) - points[:, :2].mean(1)
    along = across + torch.stack([down[:, 1], -down[:, 0]], -1)
    return Boxes(points.mean(1), CROP_SCALE * eye_distance(points), torch.atan2(along[:, 1], along[:, 0]))


def _teacher_file(given: str | None) -> Path:
    how = "give it with --set teacher=FILE, or pip install --no-deps facenet-pytorch"
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise VisagistError(f"no file {given!r} with the weights of MTCNN's output network: {how}")
        return path
    if installed := find_in_package("facenet_pytorch", "data/onet.pt"):
        return installed
    raise VisagistError(f"the landmark network learns from MTCNN's output network, which is not here: {how}")
