"""Track faces from frame to frame: identity, smooth landmarks, edits that fade in and out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from visagist.faces.detection import Face

# Of the filter of landmarks, whose speeds are in distances of the eyes per second.
MINIMUM_HZ, SPEED_GAIN = 1.0, 1.5
FADE_SECONDS = 0.25  # in which the edit of a face that appears or vanishes gains or loses its strength
MAX_MOVE = 1.0  # between two frames of one face, in distances of the eyes


class OneEuro:
    """A low-pass filter whose cut-off rises with speed (Casiez, Roussel and Vogel, 2012)."""

    def __init__(self, minimum_hz: float = MINIMUM_HZ, speed_gain: float = SPEED_GAIN, derivative_hz: float = 1.0) -> None:
        self.minimum_hz, self.speed_gain, self.derivative_hz = minimum_hz, speed_gain, derivative_hz
        self.value: NDArray[np.float64] | None = None
        self.change = np.zeros(())

    def __call__(self, value: NDArray[np.floating], seconds: float, unit: float = 1.0) -> NDArray[np.float64]:
        """The smoothed value, `seconds` after the last one; speeds are in units a second."""
        new = np.asarray(value, np.float64)
        if self.value is None or seconds <= 0:
            self.value, self.change = new, np.zeros_like(new)
            return new
        change = (new - self.value) / seconds
        self.change = self.change + _smoothing_factor(self.derivative_hz, seconds) * (change - self.change)
        # One speed for the whole face, so that it keeps its shape.
        speed = float(np.linalg.norm(self.change.mean(0))) / unit
        self.value = self.value + _smoothing_factor(self.minimum_hz + self.speed_gain * speed, seconds) * (new - self.value)
        return self.value


def _smoothing_factor(hz: float, seconds: float) -> float:
    """The weight of a new value in a first-order filter with this cut-off."""
    return 1 / (1 + 1 / (2 * math.pi * hz * seconds))


@dataclass
class Track:
    """One face over time; `fade` in [0, 1] is how much of its edit is shown."""

    number: int
    face: Face
    fade: float
    seen: bool = True
    smooth: OneEuro = field(default_factory=OneEuro)


class Tracker:
    """Tracks faces; `update` takes the faces and the time of each frame."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._time: float | None = None
        self._next = 0

    def update(self, faces: Sequence[Face], time: float) -> list[Track]:
        """The tracks to edit in the frame at `time` seconds, the oldest first; recently vanished ones fade out."""
        seconds = 0.0 if self._time is None else max(time - self._time, 0.0)
        # Faces of the first frame do not fade in.
        initial_fade = 1.0 if self._time is None else 0.0
        self._time = time
        for track in self.tracks:
            track.seen = False
        for face in faces:
            nearest = self._nearest(face)
            if nearest is None:
                nearest = Track(self._next, face, initial_fade)
                self.tracks.append(nearest)
                self._next += 1
            smoothed = nearest.smooth(face.landmarks, seconds, max(face.inter_ocular, 1.0))
            nearest.face, nearest.seen = replace(face, landmarks=smoothed.astype(np.float32)), True
        for track in self.tracks:
            step = seconds / FADE_SECONDS
            track.fade = min(track.fade + step, 1.0) if track.seen else max(track.fade - step, 0.0)
        self.tracks = [track for track in self.tracks if track.seen or track.fade > 0]
        return self.tracks

    def _nearest(self, face: Face) -> Track | None:
        """The nearest track without a face in this frame, if it is near enough."""
        center = face.landmarks.mean(0)
        open_tracks = [track for track in self.tracks if not track.seen]
        distances = [float(np.linalg.norm(track.face.landmarks.mean(0) - center)) for track in open_tracks]
        if not distances or min(distances) > MAX_MOVE * max(face.inter_ocular, 1.0):
            return None
        return open_tracks[int(np.argmin(distances))]


class FaceSelector:
    """Selects the tracks to edit: all, or one that stays selected while in sight."""

    def __init__(self, which: str | int) -> None:
        self.which = which
        self._chosen: int | None = None

    def __call__(self, tracks: Sequence[Track]) -> list[Track]:
        if self.which == "all":
            return list(tracks)
        if self._chosen not in {track.number for track in tracks}:
            index = 0 if self.which == "largest" else int(self.which)
            by_size = sorted((t for t in tracks if t.seen), key=lambda t: t.face.box[0] - t.face.box[2])
            self._chosen = by_size[index].number if index < len(by_size) else None
        return [track for track in tracks if track.number == self._chosen]
