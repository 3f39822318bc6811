"""Train the finder: one pass over a picture gives all faces of 12 to 72 pixels, each with five points.

A batch of aligned faces becomes scenes (`finder_scenes`). The shipped landmark network reads each aligned picture, and its
points go through the same transform. A cell near the middle of a face that fits its level learns a face and its points; a
cell that is near no face learns that there is none, the surer it errs the more (focal loss, Lin et al., 2017); all others
learn nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.errors import VisagistError
from visagist.faces.augmentation import GROUNDS, Boxes, crop_boxes, from_box, ground_files, read_grounds
from visagist.faces.finder_decoding import BOX_WIDTH, Detections, merge, read_cells
from visagist.faces.finder_scenes import (
    PlacedFaces,
    SceneSettings,
    another_view,
    compose_scenes,
    degrade_scenes,
)
from visagist.faces.landmark_training import eye_distance, turned_weights, upright_boxes
from visagist.faces.landmarks import load_landmarks
from visagist.faces.points import CROP_SCALE, MIRRORED, face_scale
from visagist.files import sha256_of
from visagist.methods.base import Batch, Losses, Trainable
from visagist.networks.finder import LEVELS, FinderNet, cell_centers
from visagist.networks.landmarks import landmark_loss
from visagist.pixels import to_float
from visagist.settings import file_setting
from visagist.training.precision import decayed_adamw

CROP = "centre178"
# Where the faces of CelebA's aligned pictures of 178×218 lie: the middle of their points and the distance of the eyes.
ALIGNED_MIDDLE, ALIGNED_EYES = (88.5, 130.0), 38.8
NEAR, NOT_FAR = 0.22, 0.38  # of a face's width: cells so near to its middle learn it, cells beyond learn that there is none
TOO_HIDDEN = 0.6  # of a face's box: nothing is learned of faces that are hidden more
TOO_WIDE = 140.0  # pixels: wider faces are no faces of this scale


@dataclass(frozen=True)
class FaceFinderConfig:
    """Settings of the finder.

    grounds      a folder of photographs without faces, beside the drawn grounds; None: drawn ones alone
    scene        side of a scene in pixels; there is one scene for every `share` faces of a batch
    views        updates that learn from one batch of scenes: as they are, and mirrored, resized and lit in other ways
    drawn        of the faces, the share that is drawn; at 1 nobody teaches
    turned_more  how much more often faces are shown that are turned to the side
    far_turned_more  how much more often still those that are turned far
    """

    widths: tuple[int, ...] = (24, 32, 64)
    grounds: str | None = file_setting()
    scene: int = 192
    share: int = 4
    views: int = 6
    faces: int = 13
    decoys: float = 0.3
    drawn: float = 0.08
    drawings: int = 500
    drawn_grounds: int = GROUNDS
    turned_more: float = 3.0
    far_turned_more: float = 10.0
    points_weight: float = 1.0
    hidden_weight: float = 0.1
    slack: float = 0.08
    focus: float = 2.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


class FaceFinder(Trainable):
    """Faces of 12 to 72 pixels, with five points each, in one pass. Training pictures [B, 3, S, S] are `centre178`."""

    name = "finder"
    kind: ClassVar[str] = "finder"
    title: ClassVar[str] = "Finder of find_faces"
    Config = FaceFinderConfig
    best_metric: ClassVar[str | None] = "fault"
    inference_networks = ("network",)
    config: FaceFinderConfig

    def __init__(self, config: FaceFinderConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if len(config.widths) != 3:
            raise VisagistError(f"widths {config.widths} of the finder: give three, of its first, fine and coarse layers")
        self.network = FinderNet((config.widths[0], config.widths[1], config.widths[2]))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"network": decayed_adamw(self.network, self.config.learning_rate, self.config.weight_decay)}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        config, device = self.config, batch.images.device
        with torch.autocast(device.type, enabled=False):  # coordinates must be exact
            scenes, faces = self._compose(batch.images)
        for view in range(config.views):
            with torch.autocast(device.type, enabled=False):
                x, seen = (scenes.clone(), faces) if view == 0 else another_view(scenes, faces)
                x = degrade_scenes(x).to(device).contiguous(memory_format=torch.channels_last)
            cells = [values.float().cpu() for values in self.network(x)]
            L_face, L_points, L_hidden = finder_losses(cells, seen, config.slack, config.focus)
            self.log(face=L_face, points=L_points, hidden=L_hidden)
            yield {"network": L_face + config.points_weight * L_points + config.hidden_weight * L_hidden}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of each level of pictures [B, 3, H, W], as `FinderNet` gives them."""
        fine, coarse = self.network(images)
        return fine, coarse

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """Shares `missed` of the faces and `false` of what is found, the mean `error` of points, and their sum, `fault`."""
        with torch.random.fork_rng(), torch.autocast(batch.images.device.type, enabled=False):
            torch.manual_seed(0)
            scenes, faces = self._compose(batch.images)
            cells = [values.cpu() for values in self.network(degrade_scenes(scenes).to(batch.images.device))]
        found = [merge(detections) for detections in read_cells(cells, 0.5)]
        missed, false, error = (torch.tensor(value) for value in compare(found, faces))
        return {"fault": missed + false + 0.5 * error, "missed": missed, "false": false, "error": error}

    def borrowed(self) -> dict[str, str]:
        return {path.name: sha256_of(path) for path in ground_files(self.config.grounds)}

    def config_dict(self) -> dict[str, Any]:
        # The path of the folder is no fact about the model; `borrowed` has the hashes of its files.
        return {**super().config_dict(), "grounds": None}

    def _compose(self, images: Tensor) -> tuple[Tensor, PlacedFaces]:
        config = self.config
        pictures, points = self._label(images)
        weights = turned_weights(points, config.turned_more, config.far_turned_more)
        settings = SceneSettings(side=config.scene, faces=config.faces, decoys=config.decoys)
        number = max(len(images) // config.share, 1)
        return compose_scenes(pictures, points, weights, self._grounds, number, settings)

    def _label(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, some replaced by drawn ones, and their points [B, 5, 2] in pixels."""
        drawings, truth = self._drawings
        pictures = images.detach().cpu().clone()
        chosen = torch.rand(len(pictures)) < self.config.drawn
        which = torch.randint(len(drawings), (len(pictures),))
        points = truth[which]
        if not chosen.all():
            points[~chosen] = self._teacher_points(pictures[~chosen])
        pictures[chosen] = to_float(drawings[which[chosen]], torch.device("cpu"))
        return pictures, points

    @torch.no_grad()
    def _teacher_points(self, pictures: Tensor) -> Tensor:
        """The landmark network's points [B, 5, 2] in pixels of aligned pictures; each picture is read once."""
        step = max(pictures.shape[-1] // 6, 1)
        keys = [row.tobytes() for row in (pictures[:, :, ::step, ::step] * 255).round().byte().numpy()]
        new = [row for row, key in enumerate(keys) if key not in self._readings]
        if new:
            self._readings.update(zip([keys[row] for row in new], read_aligned(pictures[new])))
        return torch.stack([self._readings[key] for key in keys])

    @cached_property
    def _readings(self) -> dict[bytes, Tensor]:
        return {}

    @cached_property
    def _drawings(self) -> tuple[Tensor, Tensor]:
        from visagist.data.drawn.synthetic import SyntheticFaces  # draws with skia, which finding faces does without

        faces = SyntheticFaces(self.config.drawings, image_size=self.image_size, seed=30_000)
        return torch.from_numpy(faces.render()), torch.from_numpy(faces.all_landmarks())

    @cached_property
    def _grounds(self) -> Tensor:
        return read_grounds(self.config.grounds, self.config.drawn_grounds)


def read_aligned(pictures: Tensor) -> Tensor:
    """Points [B, 5, 2] in pixels of aligned pictures [B, 3, S, S], `centre178`, by the landmark network in two passes."""
    model = load_landmarks()
    left, top, right, _ = CROPS[CROP](*ALIGNED_SIZE)
    scale, b = pictures.shape[-1] / (right - left), len(pictures)
    center = (torch.tensor(ALIGNED_MIDDLE) + 0.5 - torch.tensor([left, top])) * scale - 0.5
    boxes = Boxes(center.expand(b, 2), torch.full((b,), CROP_SCALE * ALIGNED_EYES * scale), torch.zeros(b))
    points = torch.zeros(b, 5, 2)
    for _ in range(2):
        x = crop_boxes(pictures, boxes, model.config.side)
        plain, mirrored = (model(y.contiguous(memory_format=torch.channels_last))[0] for y in (x, x.flip(3)))
        mirrored = torch.stack([1 - mirrored[..., 0], mirrored[..., 1]], -1)[:, MIRRORED]
        points = from_box((plain + mirrored) / 2, boxes)
        boxes = upright_boxes(points)
    return points


def finder_losses(cells: list[Tensor], faces: PlacedFaces, slack: float, focus: float) -> tuple[Tensor, Tensor, Tensor]:
    """The losses of faces, their points and their hidden shares, over cells [B, 12, h, w] of each level."""
    L_face = torch.zeros(())
    offsets, targets, units, hidden, covered = [], [], [], [], []
    for values, level in zip(cells, LEVELS):
        owner, learns = assign_cells(faces, values.shape, level.stride, level.narrowest, level.widest)
        positive = owner >= 0
        b, y, x = torch.nonzero(positive, as_tuple=True)
        face = owner[b, y, x]
        chosen = values[b, :, y, x]
        middles = cell_centers(values.shape[2], values.shape[3], level.stride)[y, x]
        offsets.append(middles[:, None] + level.unit * chosen[:, 2:].unflatten(1, (5, 2)))
        targets.append(faces.points[face])
        units.append(eye_distance(faces.points[face]))
        hidden.append(chosen[:, 1])
        covered.append(faces.hidden[face])
        logits = values[:, 0]
        surprise = F.binary_cross_entropy_with_logits(logits, positive.float(), reduction="none")
        weight = (positive.float() - torch.sigmoid(logits.detach())).abs() ** focus
        L_face = L_face + (weight * surprise * (learns | positive)).sum() / max(len(face), 1)
    if not sum(len(part) for part in targets):
        return L_face, L_face * 0, L_face * 0
    L_points = landmark_loss(torch.cat(offsets), torch.cat(targets), torch.cat(units), slack)
    L_hidden = F.binary_cross_entropy_with_logits(torch.cat(hidden), torch.cat(covered))
    return L_face, L_points, L_hidden


def assign_cells(
    faces: PlacedFaces, shape: torch.Size, stride: int, narrowest: float, widest: float
) -> tuple[Tensor, Tensor]:
    """The face [B, h, w] that each cell learns, -1 for none, and whether it learns [B, h, w] that there is none."""
    b, _, h, w = shape
    owner, learns = torch.full((b, h, w), -1), torch.ones(b, h, w, dtype=torch.bool)
    if not len(faces.points):
        return owner, learns
    middles = cell_centers(h, w, stride)
    width = BOX_WIDTH * eye_distance(faces.points)
    fits = (width >= narrowest) & (width <= widest) & (faces.hidden < TOO_HIDDEN)
    far = (middles[None] - faces.points.mean(1)[:, None, None]).norm(dim=-1)  # [F, h, w]
    for face in torch.argsort(-width).tolist():
        scene, size = int(faces.scene[face]), float(width[face])
        if size < TOO_WIDE:
            learns[scene] &= far[face] > max(NOT_FAR * size, 1.2 * stride)
        if fits[face]:
            owner[scene][far[face] <= max(NEAR * size, 0.71 * stride)] = face
    return owner, learns


def compare(found: list[Detections], faces: PlacedFaces) -> tuple[float, float, float]:
    """Shares missed of the faces of 12 pixels or more and at most half hidden, and false of all found; mean error of points.

    A face is found where the middle of its points is off by less than half a distance of its eyes.
    """
    matched, false, total, errors = 0, 0, 0, []
    unit = eye_distance(faces.points)
    counts = (faces.hidden < 0.5) & (BOX_WIDTH * unit >= 12)
    for row, detections in enumerate(found):
        here = faces.scene == row
        points, own = faces.points[here].numpy(), counts[here].numpy()
        scales = face_scale(points)
        far = np.linalg.norm(detections.points.mean(1)[:, None] - points.mean(1), axis=-1) / scales
        hit = far < 0.5
        total += int(own.sum())
        matched += int((hit.any(0) & own).sum()) if len(far) else 0
        false += int((~hit.any(1)).sum())
        for i, j in zip(*np.nonzero(hit & own)):
            errors.append(float(np.linalg.norm(detections.points[i] - points[j], axis=-1).mean() / scales[j]))
    return 1 - matched / max(total, 1), false / max(false + matched, 1), float(np.mean(errors)) if errors else 1.0
