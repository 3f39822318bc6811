"""A judge by others: the expression and gender networks of face-api.js."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from visagist.attributes import Box
from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.errors import VisagistError
from visagist.evaluation.context import CachedNetwork, Images, Scores
from visagist.evaluation.extractors.onnx import seen_through
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.files import sha256_of
from visagist.networks.pretrained import face_api

FACE_API = "face-api"
BATCH = 64
CHANNEL = {"Smiling": face_api.EXPRESSIONS.index("happy"), "Male": 0}
SHIPPED = {"Smiling": face_api.EXPRESSION, "Male": face_api.GENDER}
READ: dict[str, Callable[[Path], nn.Module]] = {"Smiling": face_api.read_expression, "Male": face_api.read_gender}


def load_second(which: str) -> FaceApiJudge:
    """The second judge of `face-api:FOLDER`; VisagistError where that is something else."""
    kind, _, folder = which.partition(":")
    if kind != FACE_API or not folder:
        raise VisagistError(f"no second judge {which!r}: give {FACE_API}:FOLDER, with the weights of face-api.js")
    return FaceApiJudge(Path(folder).expanduser())


class FaceApiJudge:
    """Probabilities of `attributes` in uint8 faces; those whose files are in the folder."""

    name = FACE_API

    def __init__(self, folder: Path) -> None:
        self._networks: dict[str, nn.Module] = {}
        self.hashes: dict[str, list[str]] = {}
        for attribute, name in SHIPPED.items():
            if (folder / f"{name}-weights_manifest.json").is_file():
                network = READ[attribute](folder)
                self._networks[attribute] = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self.hashes[attribute] = [sha256_of(path) for path in sorted(folder.glob(f"{name}*"))]
        if not self._networks:
            names = " or ".join(f"{name}-weights_manifest.json" for name in SHIPPED.values())
            raise VisagistError(f"{folder} has no {names}: name the folder of the weights of face-api.js")
        self.attributes = tuple(self._networks)

    def reader(self, attribute: str, crop: str | None) -> CachedNetwork | None:
        """Probabilities [N, 1] of an attribute it knows in faces of this crop; None where in them the face is not known."""
        box = box_in(crop)
        if box is None:
            return None
        own = fingerprint_of(FACE_API, *self.hashes[attribute], box)
        return CachedNetwork(lambda images: self.read(images, attribute, box), own)

    def read(self, images: Images, attribute: str, box: Box) -> Scores:
        """Probabilities [N, 1] of an attribute in uint8 faces [N, S, S, 3]; `box` says what of each is shown."""
        probabilities, channel = [], CHANNEL[attribute]
        for start in range(0, len(images), BATCH):
            shown = np.stack([seen_through(image, box, face_api.SIDE) for image in images[start : start + BATCH]])
            x = torch.from_numpy(shown).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                probabilities.append(self._networks[attribute](x)[:, channel : channel + 1].numpy())
        return np.concatenate(probabilities)


def box_in(crop: str | None) -> Box | None:
    """What of a face of this crop the networks are shown, in shares of it; None for crops of other pictures than aligned."""
    if crop is None or not crop.startswith("centre") or crop not in CROPS:
        return None
    left, top, right, bottom = CROPS[crop](*ALIGNED_SIZE)
    across, down = right - left, bottom - top
    x, y, side = face_api.ALIGNED_BOX
    return (x - left) / across, (y - top) / down, (x + side - left) / across, (y + side - top) / down
