"""Faces followed from frame to frame: who is who, landmarks that do not tremble, edits that fade in and out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from visagist.faces.detection import Face

# In distances of the eyes a second: below it a face is taken to stand still, and trembling is smoothed away.
STILL, SPEED = 1.0, 1.5
FADE = 0.25  # seconds in which an edit of a face that comes or goes gains or loses its strength
NEAR = 1.0  # distances of the eyes that a face may move between two frames and be the same


class OneEuro:
    """A low-pass filter that follows fast movement and calms slow one (Casiez, Roussel and Vogel, 2012)."""

    def __init__(self, minimum_hz: float = STILL, speed_gain: float = SPEED, derivative_hz: float = 1.0) -> None:
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
        self.change = self.change + _share(self.derivative_hz, seconds) * (change - self.change)
        # One speed for the whole face, so that it keeps its shape.
        speed = float(np.linalg.norm(self.change.mean(0))) / unit
        self.value = self.value + _share(self.minimum_hz + self.speed_gain * speed, seconds) * (new - self.value)
        return self.value


def _share(hz: float, seconds: float) -> float:
    """How far a first-order filter with this cut-off goes toward a new value."""
    return 1 / (1 + 1 / (2 * math.pi * hz * seconds))


@dataclass
class Track:
    """One face over time; `gain` in [0, 1] is how much of its edit is shown."""

    number: int
    face: Face
    gain: float
    seen: bool = True
    smooth: OneEuro = field(default_factory=OneEuro)


class Tracker:
    """Follows faces; give it each frame's faces and its time."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._time: float | None = None
        self._next = 0

    def update(self, faces: Sequence[Face], time: float) -> list[Track]:
        """The faces that are edited in the frame at `time` seconds, those that just vanished too, the oldest first."""
        seconds = 0.0 if self._time is None else max(time - self._time, 0.0)
        # What is there when the film begins was there before.
        fresh_gain = 1.0 if self._time is None else 0.0
        self._time = time
        for track in self.tracks:
            track.seen = False
        for face in faces:
            known = self._nearest(face)
            if known is None:
                known = Track(self._next, face, fresh_gain)
                self.tracks.append(known)
                self._next += 1
            smoothed = known.smooth(face.landmarks, seconds, max(face.inter_ocular, 1.0))
            known.face, known.seen = replace(face, landmarks=smoothed.astype(np.float32)), True
        for track in self.tracks:
            step = seconds / FADE
            track.gain = min(track.gain + step, 1.0) if track.seen else max(track.gain - step, 0.0)
        self.tracks = [track for track in self.tracks if track.seen or track.gain > 0]
        return self.tracks

    def _nearest(self, face: Face) -> Track | None:
        """The track that this face goes on, if one is near and not taken."""
        middle = face.landmarks.mean(0)
        open_tracks = [track for track in self.tracks if not track.seen]
        away = [float(np.linalg.norm(track.face.landmarks.mean(0) - middle)) for track in open_tracks]
        if not away or min(away) > NEAR * max(face.inter_ocular, 1.0):
            return None
        return open_tracks[int(np.argmin(away))]


class Chooser:
    """Whom to edit: all, or one face, who stays chosen while in sight."""

    def __init__(self, which: str | int) -> None:
        self.which = which
        self._chosen: int | None = None

    def __call__(self, tracks: Sequence[Track]) -> list[Track]:
        if self.which == "all":
            return list(tracks)
        if self._chosen not in {track.number for track in tracks}:
            place = 0 if self.which == "largest" else int(self.which)
            by_size = sorted((t for t in tracks if t.seen), key=lambda t: t.face.box[0] - t.face.box[2])
            self._chosen = by_size[place].number if place < len(by_size) else None
        return [track for track in tracks if track.number == self._chosen]
