"""Compose scenes for the finder's training: faces of known places laid on grounds without faces, among decoys.

Faces come as aligned pictures with five points. Each is reduced, turned, lit, and laid down behind a mask of one of several
shapes. Decoys are laid down behind the same masks, so that the edge of a mask says nothing: parts of faces enlarged, faces
without features, pieces of other grounds. Parts of faces are covered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.faces.augmentation import compress, textures
from visagist.faces.landmark_training import eye_distance
from visagist.faces.points import MIRRORED

BOX_WIDTH = 2.4  # of a face's box, in distances of the eyes
HEAD, HEAD_REACH = (0.5, 0.52), (0.36, 0.46)  # of an aligned picture: the middle of the head, and its half axes
CHUNK = 16  # patches of like size that are made at a time
# What is laid down beside faces: an enlarged part of one, one without features, one whose halves are exchanged, a ground.
DECOYS, DECOY_CHANCES = ("part", "blur", "upper", "left", "ground"), (0.35, 0.15, 0.1, 0.05, 0.35)


class PlacedFaces(NamedTuple):
    """Faces in scenes: the scene's row [F], points [F, 5, 2] in its pixels, the hidden share [F] of each box."""

    scene: Tensor
    points: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class SceneSettings:
    """How scenes are composed.

    side        of a scene in pixels
    faces       the most that are tried to be laid into one
    smallest    width in pixels of the smallest face; largest of the largest
    decoys      of what is laid down, the share that shows no whole face
    turned      of the faces, the share that is turned by more than 25 degrees in the plane
    covered     of the faces, the share that something is laid over
    """

    side: int = 192
    faces: int = 13
    smallest: float = 11.0
    largest: float = 76.0
    decoys: float = 0.3
    turned: float = 0.45
    covered: float = 0.3


def compose_scenes(
    pictures: Tensor, points: Tensor, weights: Tensor, grounds: Tensor, number: int, settings: SceneSettings
) -> tuple[Tensor, PlacedFaces]:
    """Scenes [N, 3, side, side] in [0, 1] of aligned pictures [B, 3, S, S] with points [B, 5, 2], and the faces in them.

    `weights` [B] says how often each picture is chosen; `grounds` are pictures [G, 3, T, T] without faces. Randomness is
    that of torch.
    """
    draw = np.random.default_rng(int(torch.randint(2**31, ())))
    levels = _mipmaps(pictures)
    scenes = _scene_grounds(grounds, pictures, levels[-1], number, settings.side)
    units, chances = eye_distance(points).numpy(), (weights / weights.sum()).double().numpy()
    placements: list[_Placement] = []
    for scene in range(number):
        chosen = draw.choice(len(pictures), settings.faces, p=chances / chances.sum())
        placements += _plan_scene(scene, chosen.tolist(), units, settings, draw)
    patches = _render(placements, levels, points, grounds)
    visible = _lay_down(scenes, placements, patches)
    _cover_faces(scenes, placements, visible, grounds, settings, draw)
    faces = [row for row, placement in enumerate(placements) if placement.decoy is None]
    placed = [_placed_points(placements[row], points, units) for row in faces]
    return scenes, PlacedFaces(
        torch.tensor([placements[row].scene for row in faces], dtype=torch.long),
        torch.stack(placed) if placed else torch.zeros(0, 5, 2),
        torch.tensor([1 - float(visible[row].mean()) for row in faces]),
    )


def another_view(scenes: Tensor, faces: PlacedFaces) -> tuple[Tensor, PlacedFaces]:
    """The mirror images of scenes [N, 3, S, S] and their faces, at two thirds to four thirds of their size."""
    side = scenes.shape[-1]
    other = (side * int(torch.randint(4, 9, ())) // 6 + 8) // 16 * 16
    mirrored = F.interpolate(scenes, size=other, mode="bilinear", antialias=other < side, align_corners=False).flip(3)
    points = (faces.points + 0.5) * (other / side) - 0.5
    points = torch.stack([other - 1 - points[..., 0], points[..., 1]], -1)[:, MIRRORED]
    return mirrored, faces._replace(points=points)


def degrade_scenes(scenes: Tensor) -> Tensor:
    """Vary the light of scenes [N, 3, S, S] from a fifth to three times as much, their colours, sharpness and noise."""
    n, side = len(scenes), scenes.shape[-1]

    def around(reach: float, *shape: int) -> Tensor:
        return (torch.rand(n, *(shape or (1, 1, 1))) * 2 - 1) * reach

    for row in torch.nonzero(torch.rand(n) < 0.25)[:, 0].tolist():
        small = int(side * (0.55 + 0.4 * float(torch.rand(()))))
        scenes[row] = _resize(_resize(scenes[row], (small, small)), (side, side))
    mean = scenes.mean((1, 2, 3), keepdim=True)
    far = (torch.rand(n, 1, 1, 1) < 0.25).float() * (2.1 * torch.rand(n, 1, 1, 1) - 1.35)
    light = torch.exp(around(0.35) + far) * (1 + around(0.12, 3, 1, 1))
    x = ((scenes - mean) * (1 + around(0.4)) + mean).clamp_(1e-3, 1)
    x = x.pow_(torch.exp(around(0.5))).mul_(light)
    for row in torch.nonzero(torch.rand(n) < 0.15)[:, 0].tolist():
        x[row] = x[row].mean(0)
    for row in torch.nonzero(torch.rand(n) < 0.5)[:, 0].tolist():
        x[row].add_(torch.randn(x.shape[1:]), alpha=0.06 * float(torch.rand(())) ** 2)
    return compress(x.clamp_(0, 1))


def _mipmaps(pictures: Tensor) -> list[Tensor]:
    """The pictures at their side and at each half of it, down to 8 pixels."""
    levels = [pictures]
    while levels[-1].shape[-1] >= 16:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def _scene_grounds(grounds: Tensor, pictures: Tensor, blurred: Tensor, number: int, side: int) -> Tensor:
    """Scenes [number, 3, side, side] without faces: parts of the grounds, textures, the edges of pictures, their blur."""
    scenes = torch.empty(number, 3, side, side)
    b = len(pictures)
    for row in range(number):
        kind, which = float(torch.rand(())), int(torch.randint(b, ()))
        if kind < 0.6:
            scenes[row] = _ground_part(grounds, side)
        elif kind < 0.7:
            scenes[row] = _resize(blurred[which], (side, side)).clamp(0, 1)
        elif kind < 0.9:
            scenes[row] = _resize(_edge_strip(pictures[which]), (side, side))
        else:
            scenes[row] = textures(1, side)[0]
    return scenes


def _edge_strip(picture: Tensor) -> Tensor:
    """What an aligned picture shows beside the head: a strip of its left or right edge, with its mirror image."""
    wide = picture.shape[-1] // 7
    strip = picture[:, :, :wide] if torch.rand(()) < 0.5 else picture[:, :, -wide:]
    strip = torch.cat([strip, strip.flip(2)] * 3, 2)
    return strip if torch.rand(()) < 0.5 else strip.transpose(1, 2)


def _ground_part(grounds: Tensor, side: int) -> Tensor:
    ground = grounds[int(torch.randint(len(grounds), ()))]
    wide = int(ground.shape[-1] * math.exp(float(torch.rand(())) * math.log(0.25)))
    left, top = (int(torch.randint(ground.shape[-1] - wide + 1, ())) for _ in range(2))
    part = _resize(ground[:, top : top + wide, left : left + wide].float() / 255, (side, side))
    part = part[torch.randperm(3)] if torch.rand(()) < 0.3 else part
    return part.flip(2) if torch.rand(()) < 0.5 else part


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    reduced = image.shape[-1] > size[1]
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=reduced, align_corners=False)[0]


@dataclass(frozen=True)
class _Placement:
    """What is laid into a scene: a face, or a decoy of some kind, as wide as a face of `size` pixels."""

    scene: int
    picture: int
    size: float
    angle: float
    x: float
    y: float
    step: float  # pixels of the aligned picture per pixel of the scene
    decoy: str | None
    draw: NDArray[np.float64]  # of the mask, the light, the decoy

    @property
    def turn(self) -> NDArray[np.float32]:
        """[2, 2], from steps in the scene to steps in the aligned picture."""
        c, s = self.step * math.cos(self.angle), self.step * math.sin(self.angle)
        return np.array([[c, s], [-s, c]], np.float32)


def _plan_scene(
    scene: int, chosen: list[int], units: NDArray[np.float32], settings: SceneSettings, draw: np.random.Generator
) -> list[_Placement]:
    """Places in a scene for the faces of these pictures, some replaced by decoys, where there is room for them."""
    side, span = settings.side, math.log(settings.largest / settings.smallest)
    crowd = draw.random() * span if draw.random() < 0.3 else None
    planned: list[_Placement] = []
    for picture in chosen:
        size = settings.smallest * math.exp((draw.random() * span if crowd is None else crowd) + draw.uniform(-0.1, 0.1))
        size = min(size, settings.largest)
        beyond = draw.random() < 0.15
        x, y = draw.uniform(-0.1, 1.1, 2) * side if beyond else size / 2 + draw.random(2) * max(side - size, 0)
        if any(math.dist((x, y), (other.x, other.y)) < 0.45 * (size + other.size) for other in planned):
            continue
        kind = draw.random()
        if kind >= settings.turned:
            angle = draw.uniform(-25, 25)
        else:
            angle = draw.uniform(-90, 90) if kind > 0.6 * settings.turned else draw.uniform(-180, 180)
        decoy = str(draw.choice(DECOYS, p=DECOY_CHANCES)) if draw.random() < settings.decoys else None
        step = BOX_WIDTH * float(units[picture]) / size
        planned.append(
            _Placement(scene, picture, size, math.radians(angle), float(x), float(y), step, decoy, draw.random(8))
        )
    return planned


def _placed_points(placement: _Placement, points: Tensor, units: NDArray[np.float32]) -> Tensor:
    own = points[placement.picture]
    back = torch.linalg.inv(torch.from_numpy(placement.turn))
    return (own - own.mean(0)) @ back.T + torch.tensor([placement.x, placement.y])


class _Patch(NamedTuple):
    """Pixels [3, p, p] and weights [p, p] of a placement, and where in the scene their upper left corner lies."""

    pixels: Tensor
    alpha: Tensor
    left: int
    top: int


def _render(placements: list[_Placement], levels: list[Tensor], points: Tensor, grounds: Tensor) -> list[_Patch]:
    """The patches of placements, many of like size at a time."""
    patches: list[_Patch | None] = [None] * len(placements)
    kinds = [p.decoy if p.decoy in ("part", "blur", "ground") else "face" for p in placements]
    for kind in sorted(set(kinds)):
        rows = sorted((row for row, own in enumerate(kinds) if own == kind), key=lambda row: placements[row].step)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            rendered = _render_chunk(kind, [placements[row] for row in part], levels, points, grounds)
            for row, patch in zip(part, rendered):
                patches[row] = patch
    return [patch for patch in patches if patch is not None]


def _render_chunk(
    kind: str, placements: list[_Placement], levels: list[Tensor], points: Tensor, grounds: Tensor
) -> list[_Patch]:
    whole, n = levels[0].shape[-1], len(placements)
    rows = torch.tensor([p.picture for p in placements])
    wide = 2 * math.ceil(0.74 * whole / min(p.step for p in placements)) + 1
    draw = torch.from_numpy(np.stack([p.draw for p in placements])).float()
    corner = np.array([[round(p.x) - wide // 2, round(p.y) - wide // 2] for p in placements])
    offset = torch.from_numpy(corner - np.array([[p.x, p.y] for p in placements])).float()
    turn = torch.from_numpy(np.stack([p.turn for p in placements])) / whole
    start = (turn @ offset[:, :, None])[..., 0] + (points[rows].mean(1) + 0.5) / whole
    steps = torch.arange(wide, dtype=torch.float32)
    x, y = (
        start[:, axis, None, None] + turn[:, axis, 0, None, None] * steps + turn[:, axis, 1, None, None] * steps[:, None]
        for axis in (0, 1)
    )
    alpha = _mask(x, y, draw[:, :3])
    if kind == "face":
        for row, placement in enumerate(placements):
            if placement.decoy is not None:  # its halves exchanged
                shares = y[row] if placement.decoy == "upper" else x[row]
                shares.add_(0.5).remainder_(1)
        step = float(np.median([p.step for p in placements]))
        pool = levels[min(max(round(math.log2(max(step, 0.25))), 0), len(levels) - 1)][rows]
    elif kind == "blur":
        pool = levels[-1][rows]
    else:
        low, high, room = (0.12, 0.2, 0.7) if kind == "part" else (0.2, 0.3, 0.5)
        zoom = (low + high * draw[:, 7])[:, None, None]
        x, y = (room * draw[:, i, None, None] + zoom * v for i, v in ((5, x), (6, y)))
        pool = levels[0][rows] if kind == "part" else grounds[(draw[:, 4] * len(grounds)).long()].float() / 255
    grid = torch.stack([x, y], -1).mul_(2).sub_(1)
    pixels = F.grid_sample(pool, grid, padding_mode="border", align_corners=False)
    pixels = (pixels * torch.exp(0.5 * draw[:, 3] - 0.25)[:, None, None, None]).clamp_(0, 1)
    return [_Patch(pixels[row], alpha[row], int(corner[row, 0]), int(corner[row, 1])) for row in range(n)]


def _mask(x: Tensor, y: Tensor, draw: Tensor) -> Tensor:
    """How much [N, p, p] of an aligned picture is laid down at these shares [N, p, p] of it: all, an ellipse, a rounder box.

    `draw` [N, 3] in [0, 1) says which, how softly its edge fades, and how far it reaches.
    """
    kind, soft, reach = draw[:, :, None, None].unbind(1)
    soft = soft * soft
    edge = torch.minimum(torch.minimum(x, 1 - x), torch.minimum(y, 1 - y))
    a, b = (((v - middle) / (axis * (0.85 + 0.5 * reach))).square_() for v, middle, axis in zip((x, y), HEAD, HEAD_REACH))
    round_ = (kind < 0.7).float()
    far = (round_ * (a + b) + (1 - round_) * (a.square() + b.square()).sqrt_()).sqrt_()
    head = ((1.05 - far) / (0.02 + 0.3 * soft)).clamp_(0, 1).mul_(edge > 0)
    return torch.where(kind < 0.4, (edge / (0.005 + 0.08 * soft)).clamp_(0, 1), head)


PLACES = (np.arange(8) + 0.5) / 4 - 1  # of a face's box, in half widths from its middle, at which it is seen or hidden


def _lay_down(scenes: Tensor, placements: list[_Placement], patches: list[_Patch]) -> list[NDArray[np.float32]]:
    """Blend patches into scenes in place, in their order; what of each placement's box [8, 8] can be seen in the end."""
    side = scenes.shape[-1]
    visible: list[NDArray[np.float32]] = []
    for row, (placement, patch) in enumerate(zip(placements, patches)):
        _blend(scenes[placement.scene], patch)
        _hide(placements[:row], visible, placement.scene, patch)
        across, down = (v + placement.size / 2 * PLACES for v in (placement.x, placement.y))
        seen = [((v > -0.5) & (v < side - 0.5)).astype(np.float32) for v in (down, across)]
        visible.append(seen[0][:, None] * seen[1])
    return visible


def _blend(scene: Tensor, patch: _Patch) -> None:
    side, wide = scene.shape[-1], patch.alpha.shape[-1]
    x0, y0 = max(-patch.left, 0), max(-patch.top, 0)
    x1, y1 = min(side - patch.left, wide), min(side - patch.top, wide)
    if x1 > x0 and y1 > y0:
        part = scene[:, patch.top + y0 : patch.top + y1, patch.left + x0 : patch.left + x1]
        part.lerp_(patch.pixels[:, y0:y1, x0:x1], patch.alpha[y0:y1, x0:x1].expand(3, -1, -1))


def _hide(placements: list[_Placement], visible: list[NDArray[np.float32]], scene: int, patch: _Patch) -> None:
    """Take from what can be seen of a scene's placements what a patch laid over them hides."""
    wide = patch.alpha.shape[-1]
    for row in range(len(placements) - 1, -1, -1):
        other = placements[row]
        if other.scene != scene:
            break
        half = other.size / 2
        across = np.rint(other.x + half * PLACES).astype(int) - patch.left
        down = np.rint(other.y + half * PLACES).astype(int) - patch.top
        if across[-1] < 0 or down[-1] < 0 or across[0] >= wide or down[0] >= wide:
            continue
        over = patch.alpha.numpy()[down.clip(0, wide - 1)][:, across.clip(0, wide - 1)]
        within = ((down >= 0) & (down < wide))[:, None] & ((across >= 0) & (across < wide))
        visible[row] = visible[row] * (1 - over * within)


def _cover_faces(
    scenes: Tensor, placements: list[_Placement], visible: list[NDArray[np.float32]], grounds: Tensor,
    settings: SceneSettings, draw: np.random.Generator,
) -> None:  # fmt: skip
    """Cover parts of some faces: beyond a line, or by an ellipse or a box, plain or with a texture."""
    chosen = [row for row, p in enumerate(placements) if p.decoy is None and draw.random() < settings.covered]
    for row in chosen:
        placement, half = placements[row], placements[row].size / 2
        reach = int(1.6 * half) + 1
        steps = torch.arange(-reach, reach + 1) / half
        across, down = steps, steps[:, None]
        values = draw.random(8).tolist()
        direction = 2 * math.pi * values[0]
        if values[1] < 0.5:
            far = across * math.cos(direction) + down * math.sin(direction) - (-0.1 + values[2])
        else:
            a = (across - (1.3 * values[2] - 0.65)).abs() / (0.2 + 0.6 * values[4])
            b = (down - (1.3 * values[3] - 0.65)).abs() / (0.2 + 0.6 * values[5])
            far = 1 - (torch.maximum(a, b) if values[1] < 0.75 else torch.hypot(*torch.broadcast_tensors(a, b)))
        alpha = (far * half).clamp(0, 1).expand(len(steps), len(steps))
        plain = torch.rand(3, 1, 1).expand(3, *alpha.shape)
        pixels = plain if values[6] < 0.5 else _ground_part(grounds, len(steps))
        patch = _Patch(pixels, alpha, round(placement.x) - reach, round(placement.y) - reach)
        _blend(scenes[placement.scene], patch)
        last = max(i for i, p in enumerate(placements) if p.scene == placement.scene) + 1
        _hide(placements[:last], visible, placement.scene, patch)
