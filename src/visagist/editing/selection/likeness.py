"""Who is who in a video: vectors that are alike for one face in the next frame, and for one person in another shot.

Between frames a face looks the same, so small squares of pixels are compared. Between shots light and pose differ; there the
attributes that the calibrating judge reads say how a person looks. Of 150 people in CelebA's validation split, two
photographs of one are more alike by this than two of different people in 88 of 100 comparisons, by the pixels in 57.
Nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.editing.attribute_scores import calibrating_judge, face_squares
from visagist.faces.alignment import align
from visagist.faces.detection import Face

SIDE = 16  # pixels of the squares that are compared
LIMIT = 1e-3  # of the judge's probabilities
# Mean and deviation of the logits that the judge gives validation faces, of attributes that last longer than a scene.
USUAL = {
    "5_o_Clock_Shadow": (-4.5, 2.9), "Arched_Eyebrows": (-2.6, 2.7), "Attractive": (-0.3, 2.7),
    "Bags_Under_Eyes": (-2.4, 2.1),
    "Bald": (-6.4, 1.6), "Bangs": (-5.0, 3.2), "Big_Lips": (-1.7, 1.3), "Big_Nose": (-1.9, 2.1), "Black_Hair": (-3.2, 3.2),
    "Blond_Hair": (-4.5, 3.2), "Brown_Hair": (-2.7, 2.6), "Bushy_Eyebrows": (-3.4, 2.5), "Chubby": (-5.0, 2.3),
    "Double_Chin": (-5.3, 2.2), "Eyeglasses": (-5.5, 3.6), "Goatee": (-5.5, 2.6), "Gray_Hair": (-5.8, 2.2),
    "Heavy_Makeup": (-2.4, 4.7), "Male": (-0.3, 6.2), "Mustache": (-5.6, 2.3), "No_Beard": (3.9, 3.9),
    "Oval_Face": (-0.9, 0.9),
    "Pale_Skin": (-5.0, 2.0), "Pointy_Nose": (-1.5, 1.4), "Receding_Hairline": (-4.6, 2.4), "Sideburns": (-5.7, 2.5),
    "Straight_Hair": (-2.1, 2.0), "Wavy_Hair": (-1.6, 2.5), "Wearing_Earrings": (-3.5, 2.8), "Wearing_Hat": (-6.1, 2.3),
    "Wearing_Lipstick": (-1.6, 5.3), "Wearing_Necklace": (-3.3, 1.9), "Young": (2.1, 2.7),
}  # fmt: skip


def look_vectors(pixels: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
    """How faces of a frame [H, W, 3] look, unit vectors [F, D]: their aligned pixels, few of them, without their mean."""
    squares = [align(face.landmarks, "centre178", 4 * SIDE).face(pixels) for face in faces]
    small = [
        np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) for square in squares
    ]
    vectors = np.stack([(s - s.mean()).ravel() for s in small]) if small else np.zeros((0, 3 * SIDE**2), np.float32)
    return _unit(vectors)


def person_vectors(pixels: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
    """What the calibrating judge reads of each face of a frame, unit vectors [F, A]."""
    judge = calibrating_judge()
    scores = judge.score(face_squares(pixels, faces, judge.description.get("crop"), judge.image_size))
    columns = [judge.attributes.index(name) for name in USUAL]
    scores = scores[:, columns].clip(LIMIT, 1 - LIMIT)
    mean, deviation = np.array(list(USUAL.values()), np.float32).T
    return _unit((np.log(scores / (1 - scores)) - mean) / deviation)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
