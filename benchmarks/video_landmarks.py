"""How much the landmarks of a moving face tremble, as found and as a video's edits use them.

    python benchmarks/video_landmarks.py [--frames 40]

The portrait that the package carries sways and glides before a grey wall, under noise, at 25 frames a second. Prints
one line of JSON: the mean second difference of the landmarks in pixels, and how far smoothed ones lie from those found.
"""

from __future__ import annotations

import argparse
import io
import json
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.faces.detection import detect
from visagist.faces.tracking import Tracker

RATE = 25


def frame(number: int, portrait: Image.Image, noise: np.random.Generator) -> NDArray[np.uint8]:
    """One picture of the film, uint8 [260, 320, 3]."""
    whole = Image.new("RGB", (320, 260), (120, 130, 140))
    swayed = portrait.convert("RGBA").rotate(6 * np.sin(number / 8), Image.Resampling.BICUBIC)
    whole.paste(swayed, (40 + round(15 * np.sin(number / 10)), 50), swayed)
    noisy = np.asarray(whole).astype(int) + noise.integers(-8, 9, (260, 320, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    given = parser.parse_args()
    with Image.open(io.BytesIO(files("visagist").joinpath("demo_face.png").read_bytes())) as picture:
        portrait = picture.convert("RGB").resize((200, 166))
    noise, tracker = np.random.default_rng(0), Tracker()
    found, shown = [], []
    for number in range(given.frames):
        faces = detect(frame(number, portrait, noise))[:1]
        tracks = tracker.update(faces, number / RATE)
        if faces:
            found.append(faces[0].landmarks)
            shown.append(tracks[0].face.landmarks)
    trembles = [float(np.abs(np.diff(np.stack(path), 2, axis=0)).mean()) for path in (found, shown)]
    apart = float(np.abs(np.stack(found) - np.stack(shown)).mean())
    measured = {"raw px": trembles[0], "smoothed px": trembles[1], "apart px": apart}
    facts = {"frames": given.frames, "found in": len(found), **measured}
    print(json.dumps({key: round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
