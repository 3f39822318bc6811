"""MTCNN (Zhang, Zhang, Li and Qiao, 2016), as a rival: proposals over a pyramid, refined, then five points.

The weights are those that are spread with the package facenet-pytorch: pnet.pt, rnet.pt, onet.pt in one folder. Thresholds,
overlaps and the pyramid are that package's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.networks.pretrained.onet import ONet, read_onet

THRESHOLDS, FACTOR, CELL, STRIDE, BATCH = (0.6, 0.7, 0.7), 0.709, 12, 2, 256


class PNet(nn.Module):
    """Pictures [1, 3, H, W] to the probability [h, w] of a face in windows of 12 pixels, and corrections [4, h, w]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[0, 1], self.conv4_2(x)[0]


class RNet(nn.Module):
    """Windows [B, 3, 24, 24] to the probability [B] of a face, and corrections [B, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu4(self.dense4(x))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


def read_onet_heads(network: ONet, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The probability [B] of a face, corrections [B, 4] and points [B, 5, 2] in shares, of windows [B, 3, 48, 48]."""
    x = network.pool1(network.prelu1(network.conv1(x)))
    x = network.pool2(network.prelu2(network.conv2(x)))
    x = network.pool3(network.prelu3(network.conv3(x)))
    x = network.prelu5(network.dense5(network.prelu4(network.conv4(x)).permute(0, 3, 2, 1).flatten(1)))
    points = network.dense6_3(x).unflatten(1, (2, 5)).transpose(1, 2)
    return network.dense6_1(x).softmax(1)[:, 1], network.dense6_2(x), points


class MTCNN:
    """Faces in photographs [H, W, 3]: scores [F] and points [F, 5, 2] in pixels."""

    def __init__(self, folder: Path, smallest: float = 20) -> None:
        self.p, self.r = PNet().eval(), RNet().eval()
        for network, name in ((self.p, "pnet.pt"), (self.r, "rnet.pt")):
            weights = torch.load(folder / name, map_location="cpu", weights_only=True)
            own = network.state_dict()
            network.load_state_dict({key: value for key, value in weights.items() if key in own})
        self.o, self.smallest = read_onet(folder / "onet.pt"), smallest

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        x = (torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() - 127.5) / 128
        boxes, scores = self._propose(x)
        boxes, scores = self._refine(x, boxes, 24, THRESHOLDS[1], lambda w: self.r(w))[:2]
        boxes, scores, points = self._refine(x, boxes, 48, THRESHOLDS[2], lambda w: read_onet_heads(self.o, w))
        return scores.numpy(), points.numpy()

    def _propose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found, scores = [torch.zeros(0, 4)], [torch.zeros(0)]
        scale, shorter = CELL / self.smallest, min(x.shape[2:])
        while shorter * scale >= CELL:
            size = (int(x.shape[2] * scale + 1), int(x.shape[3] * scale + 1))
            probability, corrections = self.p(F.interpolate(x, size=size, mode="area"))
            y, across = torch.nonzero(probability >= THRESHOLDS[0], as_tuple=True)
            corner = torch.stack([across, y], 1).float() * STRIDE
            boxes = torch.cat([(corner + 1) / scale, (corner + CELL) / scale], 1)
            kept = overlap_filter(boxes, probability[y, across], 0.5)
            boxes, delta = boxes[kept], corrections[:, y, across].T[kept]
            found.append(_corrected(boxes, delta))
            scores.append(probability[y, across][kept])
            scale *= FACTOR
        boxes, values = torch.cat(found), torch.cat(scores)
        kept = overlap_filter(boxes, values, 0.7)
        return _squared(boxes[kept]), values[kept]

    def _refine(self, x, boxes, side, threshold, network):  # type: ignore[no-untyped-def]
        if not len(boxes):
            return boxes, torch.zeros(0), torch.zeros(0, 5, 2)
        outputs = [network(_windows(x, part, side)) for part in boxes.split(BATCH)]
        scores, delta, *more = (torch.cat(values) for values in zip(*outputs))
        chosen = scores > threshold
        boxes, scores, delta = boxes[chosen], scores[chosen], delta[chosen]
        wide = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        points = boxes[:, None, :2] + more[0][chosen] * wide - 1 if more else torch.zeros(len(boxes), 5, 2)
        boxes = _corrected(boxes, delta)
        kept = overlap_filter(boxes, scores, 0.7, of_smaller=side == 48)
        boxes = boxes[kept]
        return (_squared(boxes) if side == 24 else boxes), scores[kept], points[kept]


def overlap_filter(boxes: Tensor, scores: Tensor, most: float, of_smaller: bool = False) -> Tensor:
    """Rows of boxes [N, 4] of which none overlaps a surer one by more than a share of their union, or of the smaller one."""
    order = torch.argsort(scores, descending=True)
    kept, area = [], (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low, high = torch.maximum(boxes[rest, :2], boxes[first, :2]), torch.minimum(boxes[rest, 2:], boxes[first, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        whole = torch.minimum(area[rest], area[first]) if of_smaller else area[rest] + area[first] - shared
        order = rest[shared <= most * whole]
    return torch.tensor(kept, dtype=torch.long)


def _corrected(boxes: Tensor, delta: Tensor) -> Tensor:
    wide = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)
    return boxes + delta * wide


def _squared(boxes: Tensor) -> Tensor:
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([middle - half, middle + half], 1)


def _windows(x: Tensor, boxes: Tensor, side: int) -> Tensor:
    """The boxes [N, 4] of a picture [1, 3, H, W] resized to [N, 3, side, side], black beyond it."""
    windows = torch.zeros(len(boxes), 3, side, side)
    height, width = x.shape[2:]
    for row, box in enumerate(boxes.round().long().tolist()):
        left, top, right, bottom = box[0] - 1, box[1] - 1, box[2], box[3]
        part = x[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if 0 in part.shape[2:]:
            continue
        room = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
        windows[row] = F.interpolate(F.pad(part, room), size=(side, side), mode="area")[0]
    return windows
