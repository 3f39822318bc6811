"""Networks of face-api.js: landmarks, expression and gender, read as a second opinion in evaluations.

Source: V. Mühler, face-api.js (MIT licence): `faceLandmarkNet` and `faceExpressionNet`, blocks of depthwise separable
convolutions with dense additive connections, and `ageGenderNet`, a small Xception. Weights are stored in one byte a value,
a few in four, beside a manifest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.boundary.schema import Bounds, Open, read_json
from visagist.boundary.tensor_files import find_defect
from visagist.boundary.untrusted import WEIGHT_BYTES, read_regular
from visagist.errors import VisagistError

SIDE = 112  # pixels of the input
ALIGNED_BOX = (29, 60, 120)  # the input in an aligned picture of 178×218 pixels: left, top, side
MEANS = (122.782, 117.001, 104.298)
WIDTHS = (32, 64, 128, 256)
POINTS, EXPRESSION, GENDER = "face_landmark_68_model", "face_expression_model", "age_gender_model"
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
ENTRY, MIDDLE, EXIT = (32, 64, 128), 2, (256, 512)  # widths of the Xception, and its blocks of one width


def _pad_same(x: Tensor, stride: int) -> Tensor:
    """Pad as TensorFlow's "same" does for 3×3: at an even side with stride 2, only right and bottom."""
    return F.pad(x, (0, 1, 0, 1)) if stride == 2 and x.shape[-1] % 2 == 0 else F.pad(x, (1, 1, 1, 1))


class Separable(nn.Module):
    """A depthwise 3×3 convolution and a 1×1 one; [B, C, S, S] to [B, D, S/stride, S/stride]."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, stride, groups=channels_in, bias=False)
        self.pointwise = nn.Conv2d(channels_in, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.depthwise(_pad_same(x, self.stride)))
        return y


class Dense(nn.Module):
    """Four convolutions, the first with stride 2; the input of each later one is the sum of all outputs before."""

    def __init__(self, channels_in: int, channels: int, first: bool) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels_in, channels, 3, 2) if first else Separable(channels_in, channels, 2)
        self.conv1, self.conv2, self.conv3 = (Separable(channels, channels, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        whole = F.relu(self.conv0(_pad_same(x, 2) if isinstance(self.conv0, nn.Conv2d) else x))
        seen, parts = whole, whole
        for convolution in (self.conv1, self.conv2, self.conv3):
            parts = parts + convolution(seen)
            seen = F.relu(parts)
        return seen


class Blocks(nn.Module):
    """Faces [B, 3, 112, 112] in [0, 255] to features [B, 256], and from them numbers [B, K]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        channels = (3, *WIDTHS)
        self.blocks = nn.ModuleList(Dense(a, b, a == 3) for a, b in zip(channels, WIDTHS))
        self.fc = nn.Linear(WIDTHS[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.new_tensor(MEANS)[:, None, None]) / 255
        for block in self.blocks:
            x = block(x)
        read: Tensor = self.fc(F.avg_pool2d(x, x.shape[-1]).flatten(1))
        return read


class FaceApi68(Blocks):
    """Faces [B, 3, 112, 112] in [0, 255] to points [B, 68, 2] as fractions of the picture."""

    def __init__(self) -> None:
        super().__init__(136)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(1, (68, 2))


class FaceApiExpression(Blocks):
    """Faces [B, 3, 112, 112] in [0, 255] to probabilities [B, 7] of `EXPRESSIONS`."""

    def __init__(self) -> None:
        super().__init__(len(EXPRESSIONS))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class Reduction(nn.Module):
    """Two separable convolutions and a pooling beside a 1×1 convolution; [B, C, S, S] to [B, D, S/2, S/2]."""

    def __init__(self, channels_in: int, channels: int, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.separable_conv0 = Separable(channels_in, channels, 1)
        self.separable_conv1 = Separable(channels, channels, 1)
        self.expansion_conv = nn.Conv2d(channels_in, channels, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.separable_conv1(F.relu(self.separable_conv0(x if self.first else F.relu(x))))
        y = F.max_pool2d(F.pad(y, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        return y + self.expansion_conv(x)


class Main(nn.Module):
    """Three separable convolutions with a residual connection; [B, C, S, S]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.separable_conv0, self.separable_conv1, self.separable_conv2 = (
            Separable(channels, channels, 1) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for convolution in (self.separable_conv0, self.separable_conv1, self.separable_conv2):
            y = convolution(F.relu(y))
        return x + y


class FaceApiGender(nn.Module):
    """Faces [B, 3, 112, 112] in [0, 255] to the probability [B, 1] of "male"; the head for age is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, ENTRY[0], 3, 2)
        self.entry = nn.ModuleList(Reduction(a, b, a == ENTRY[0]) for a, b in pairwise(ENTRY))
        self.middle = nn.ModuleList(Main(ENTRY[-1]) for _ in range(MIDDLE))
        self.exit = Reduction(ENTRY[-1], EXIT[0])
        self.separable_conv = Separable(*EXIT, 1)
        self.age, self.gender = nn.Linear(EXIT[-1], 1), nn.Linear(EXIT[-1], 2)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.new_tensor(MEANS)[:, None, None]) / 256
        x = F.relu(self.conv_in(_pad_same(x, 2)))
        for block in (*self.entry, *self.middle, self.exit):
            x = block(x)
        x = F.relu(self.separable_conv(x))
        chances: Tensor = self.gender(x.mean((2, 3))).softmax(1)
        return chances[:, :1]


def read_face_api(folder: Path) -> FaceApi68:
    """Read the landmark network from a folder; VisagistError where the files do not fit."""
    return _load_network(FaceApi68(), folder, POINTS, "the 68-point network")


def read_expression(folder: Path) -> FaceApiExpression:
    """Read the expression network from a folder; errors as of `read_face_api`."""
    return _load_network(FaceApiExpression(), folder, EXPRESSION)


def read_gender(folder: Path) -> FaceApiGender:
    """Read the network of age and gender from a folder; errors as of `read_face_api`."""
    return _load_network(FaceApiGender(), folder, GENDER)


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class _Quantization(Open):
    scale: float
    min: float


@dataclass(frozen=True)
class _Weight(Open):
    name: str
    shape: Annotated[tuple[Annotated[int, Bounds(0, 2**16)], ...], Bounds(0, 8)]
    quantization: _Quantization | None = None


@dataclass(frozen=True)
class _Group(Open):
    """The tensors of a network in the order of its files."""

    paths: tuple[str, ...]
    weights: tuple[_Weight, ...]


def _load_network(network: Network, folder: Path, name: str, called: str | None = None) -> Network:
    try:
        weights = _read_weights(folder, name)
        problem = find_defect(weights)
        if problem:
            raise ValueError(problem)
        network.load_state_dict(weights)
    except (OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
        raise VisagistError(f"cannot read {called or name} of face-api.js in {folder}: {error}") from error
    return network.eval().requires_grad_(False)


def _read_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """Read the tensors that a manifest lists, by the names of these modules."""
    groups: tuple[_Group, ...] = read_json(
        folder / f"{name}-weights_manifest.json", tuple[_Group], "take the file of face-api.js again"
    )
    data = b"".join(read_regular(folder / path, WEIGHT_BYTES) for path in groups[0].paths)
    state: dict[str, Tensor] = {}
    start = 0
    for weight in groups[0].weights:
        packed = weight.quantization
        form = np.dtype("<f4") if packed is None else np.dtype(np.uint8)
        count = math.prod(weight.shape)
        values = np.frombuffer(data, form, count, start).reshape(weight.shape).astype(np.float32)
        if packed is not None:
            values = values * packed.scale + packed.min
        start += count * form.itemsize
        key, tensor = _convert_weight(weight.name, torch.from_numpy(values))
        state[key] = tensor
    return state


def _convert_weight(name: str, value: Tensor) -> tuple[str, Tensor]:
    """Convert a path and a tensor of the manifest to the name and layout of these modules."""
    *path, kind = name.split("/")
    if path[0] == "fc":
        part = path[1] if len(path) > 1 else "fc"
        return (f"{part}.weight", value.T) if kind == "weights" else (f"{part}.bias", value)
    layer = ".".join(filter(None, (_layer_name(step) for step in path)))
    plain = path[-1] in ("conv_in", "expansion_conv") or path == ["dense0", "conv0"]
    if kind == "depthwise_filter":
        return f"{layer}.depthwise.weight", value.permute(2, 3, 0, 1)
    if kind == "bias":
        return f"{layer}.bias" if plain else f"{layer}.pointwise.bias", value
    return f"{layer}.weight" if plain else f"{layer}.pointwise.weight", value.permute(3, 2, 0, 1)


def _layer_name(step: str) -> str:
    """Convert one step of a path of the manifest; blocks count from 0."""
    if step in ("entry_flow", "middle_flow", "exit_flow"):
        return ""
    for start, ours in (("dense", "blocks."), ("reduction_block_", "entry."), ("main_block_", "middle.")):
        if step.startswith(start):
            return ours + step.removeprefix(start)
    return "exit" if step == "reduction_block" else step
