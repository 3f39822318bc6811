"""The networks of the measures that go by a standard name: Inception of 2015 for FID, KID and IS, LPIPS for distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.errors import VisagistError, nearest
from visagist.evaluation.context import Images, PictureDistance
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.networks.pretrained.inception import InceptionV3
from visagist.networks.pretrained.lpips import BACKBONES, build_lpips
from visagist.networks.pretrained.weight_files import find_weights, read_weights

INCEPTION = "inception"
FIRST_DIGITS = "6726825d"  # of the SHA-256 of the published file, which its name has
LEAST_SIDE = 64
BATCH = 32
HOW_INCEPTION = (
    f"give {INCEPTION}:FILE, pt_inception-2015-12-05-{FIRST_DIGITS}.pth of pytorch-fid, which torch-fidelity has too as "
    f"weights-inception-2015-12-05-{FIRST_DIGITS}.pth"
)


class InceptionFeatures:
    """Inception's 2048 features of uint8 images [N, S, S, 3].

    `standard` says that the weights are those that FID is called after. Resizing is TensorFlow's, as of torch-fidelity.
    """

    def __init__(self, where: str) -> None:
        path, self.sha256 = find_weights(where)
        network = InceptionV3()
        state = network.state_dict()
        weights = read_weights(path, HOW_INCEPTION)
        missing = sorted(key for key in state.keys() - weights.keys() if not key.endswith("num_batches_tracked"))
        unknown = sorted(weights.keys() - state.keys())
        wrong = sorted(key for key in state.keys() & weights.keys() if state[key].shape != weights[key].shape)
        if missing or unknown or wrong:
            first = (missing or unknown or wrong)[0]
            kind = "lacks" if missing else "has" if unknown else "has in another shape"
            raise VisagistError(f"{path} is not Inception of 2015-12-05: it {kind} {first}; {HOW_INCEPTION}")
        network.load_state_dict({**state, **weights})
        self.network = network.eval().requires_grad_(False)
        self.standard = self.sha256.startswith(FIRST_DIGITS)
        self.name = INCEPTION if self.standard else f"{INCEPTION}-{self.sha256[:8]}"
        self.fingerprint = fingerprint_of(INCEPTION, self.sha256)

    @torch.inference_mode()
    def __call__(self, images: Images) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(self.network(pixels)[0].numpy())
        return np.concatenate(parts)

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits without their bias [N, 1008] of features [N, 2048]."""
        return np.asarray(features, np.float64) @ self.network.fc.weight.double().numpy().T


class LpipsDistance:
    """LPIPS of pairs of uint8 images [N, S, S, 3], smaller ones enlarged to 64 pixels first.

    It is called `lpips-alex` and the like only with torchvision's own weights, by their SHA-256.
    """

    def __init__(self, name: str, backbone: str, heads: str) -> None:
        (path, self.sha256), (heads_path, self.heads_sha256) = find_weights(backbone), find_weights(heads)
        how = f"give torchvision's weights of {name} and LPIPS's {name}.pth"
        self.network = build_lpips(name, read_weights(path, how), read_weights(heads_path, how))
        standard = self.sha256.startswith(BACKBONES[name].first_digits)
        self.name = f"lpips-{name}" if standard else f"lpips-{name}-{self.sha256[:8]}"

    @torch.inference_mode()
    def distance(self, a: Images, b: Images) -> NDArray[np.float64]:
        parts = []
        for start in range(0, len(a), BATCH):
            x, y = (_floats(images[start : start + BATCH]) for images in (a, b))
            parts.append(self.network(x, y).double().numpy())
        return np.concatenate(parts)


def load_distance(which: str) -> PictureDistance:
    """`lpips-alex:BACKBONE,HEADS` or `lpips-vgg:BACKBONE,HEADS`, each a path or an address with a SHA-256."""
    kind, _, files = which.partition(":")
    known = {f"lpips-{name}": name for name in BACKBONES}
    backbone, comma, heads = files.partition(",")
    if kind not in known:
        raise VisagistError(f"no distance of pictures {kind!r}: {nearest(kind, known)}")
    if not comma or not backbone or not heads:
        name = Path(files).name or "nothing"
        raise VisagistError(f"{kind} needs two files, got {name}: write {kind}:BACKBONE.pth,{known[kind]}.pth")
    return LpipsDistance(known[kind], backbone, heads)


def _floats(images: Images) -> torch.Tensor:
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    if x.shape[-1] < LEAST_SIDE:
        x = torch.nn.functional.interpolate(x, (LEAST_SIDE, LEAST_SIDE), mode="bilinear", align_corners=False)
    return x
