"""The 68-point network of face-api.js, which reads faces for no model and no training: a second opinion.

Source: V. Mühler, face-api.js (MIT licence), `faceLandmarkNet`. Blocks of depthwise separable convolutions whose outputs are
added to all that came before them in the block. Weights lie as tensors of one byte a value beside a manifest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 112  # pixels that it sees
MEANS = (122.782, 117.001, 104.298)
WIDTHS = (32, 64, 128, 256)
MANIFEST = "face_landmark_68_model-weights_manifest.json"


def _same(x: Tensor, stride: int) -> Tensor:
    """Padding as TensorFlow's "same" for 3×3: with stride 2 on an even side only at the right and the bottom."""
    return F.pad(x, (0, 1, 0, 1)) if stride == 2 and x.shape[-1] % 2 == 0 else F.pad(x, (1, 1, 1, 1))


class Separable(nn.Module):
    """A depthwise 3×3 convolution and a 1×1 one; [B, C, S, S] to [B, D, S/stride, S/stride]."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, stride, groups=channels_in, bias=False)
        self.pointwise = nn.Conv2d(channels_in, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.depthwise(_same(x, self.stride)))
        return y


class Dense(nn.Module):
    """Four convolutions, the first of which halves the side; each later one sees the sum of all before it."""

    def __init__(self, channels_in: int, channels: int, first: bool) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels_in, channels, 3, 2) if first else Separable(channels_in, channels, 2)
        self.conv1, self.conv2, self.conv3 = (Separable(channels, channels, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        whole = F.relu(self.conv0(_same(x, 2) if isinstance(self.conv0, nn.Conv2d) else x))
        seen, parts = whole, whole
        for convolution in (self.conv1, self.conv2, self.conv3):
            parts = parts + convolution(seen)
            seen = F.relu(parts)
        return seen


class FaceApi68(nn.Module):
    """Faces [B, 3, 112, 112] in [0, 255] to points [B, 68, 2] in shares of the picture."""

    def __init__(self) -> None:
        super().__init__()
        channels = (3, *WIDTHS)
        self.blocks = nn.ModuleList(Dense(a, b, a == 3) for a, b in zip(channels, WIDTHS))
        self.fc = nn.Linear(WIDTHS[-1], 136)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.new_tensor(MEANS)[:, None, None]) / 255
        for block in self.blocks:
            x = block(x)
        points: Tensor = self.fc(F.avg_pool2d(x, x.shape[-1]).flatten(1))
        return points.unflatten(1, (68, 2))


def read_face_api(folder: Path) -> FaceApi68:
    """The network with the weights of this folder; OSError, KeyError or ValueError where they are not those."""
    (group,) = json.loads((folder / MANIFEST).read_text())
    data = b"".join((folder / path).read_bytes() for path in group["paths"])
    state: dict[str, Tensor] = {}
    start = 0
    for weight in group["weights"]:
        count = int(np.prod(weight["shape"]))
        scale, least = weight["quantization"]["scale"], weight["quantization"]["min"]
        values = np.frombuffer(data, np.uint8, count, start).reshape(weight["shape"]).astype(np.float32) * scale + least
        start += count
        state.update([_named(weight["name"], torch.from_numpy(values))])
    network = FaceApi68().eval()
    network.load_state_dict(state)
    return network.requires_grad_(False)


def _named(name: str, value: Tensor) -> tuple[str, Tensor]:
    block, *rest = name.split("/")
    if block == "fc":
        return ("fc.weight", value.T) if rest == ["weights"] else ("fc.bias", value)
    kind = rest[1]
    part = f"blocks.{block.removeprefix('dense')}.{rest[0]}"
    plain = (block, rest[0]) == ("dense0", "conv0")
    if kind == "depthwise_filter":
        return f"{part}.depthwise.weight", value.permute(2, 3, 0, 1)
    if kind == "bias":
        return f"{part}.bias" if plain else f"{part}.pointwise.bias", value
    return f"{part}.weight" if plain else f"{part}.pointwise.weight", value.permute(3, 2, 0, 1)
