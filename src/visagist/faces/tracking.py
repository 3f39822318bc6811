"""Track faces from frame to frame, by place and by likeness: who is who, smooth landmarks, edits that fade in and out.

A face goes on where it was in the frame before, if it still looks alike. One that does not may be a person who was seen
before: then it has that person's number again. Without vectors that say what is alike, the place alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from visagist.faces.detection import Face

# Of the filter of landmarks, whose speeds are in distances of the eyes per second.
MINIMUM_HZ, SPEED_GAIN = 1.0, 1.5
FADE_SECONDS = 0.25  # in which the edit of a face that appears or vanishes gains or loses its strength
MAX_MOVE = 1.0  # between two frames of one face, in distances of the eyes
# The least cosine of two vectors of one face in two frames in a row, and of one person in two shots.
SAME_LOOK, SAME_PERSON = 0.7, 0.55


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
    """One face over time; `fade` in [0, 1] is how much of its edit is shown.

    look    unit vector [D] of how it looked last, or None
    known   whether its number is that of a person, who keeps it over cuts
    """

    number: int
    face: Face
    fade: float
    seen: bool = True
    smooth: OneEuro = field(default_factory=OneEuro)
    look: NDArray[np.float32] | None = None
    known: bool = False


Identify = Callable[[Sequence[int]], NDArray[np.float32]]


class Tracker:
    """Tracks faces; `update` takes the faces and the time of each frame.

    Without `force` the edit of a face that is `unfit` fades out until it is fit again.
    """

    def __init__(self, force: bool = True) -> None:
        self.tracks: list[Track] = []
        self.force = force
        self._persons: dict[int, NDArray[np.float32]] = {}
        self._time: float | None = None
        self._next = 0

    def update(
        self,
        faces: Sequence[Face],
        time: float,
        looks: NDArray[np.float32] | None = None,
        identify: Identify | None = None,
    ) -> list[Track]:
        """The tracks to edit in the frame at `time` seconds, the oldest first; recently vanished ones fade out.

        `looks` [F, D] are unit vectors that are alike for one face in two frames in a row, and `identify` gives unit vectors
        [n, P] of some of the faces that are alike for one person in any two frames.
        """
        seconds = 0.0 if self._time is None else max(time - self._time, 0.0)
        first, self._time = self._time is None, time
        before = [track for track in self.tracks if track.seen]
        for track in self.tracks:
            track.seen = False
        left = [
            row for row, face in enumerate(faces) if not self._go_on(face, seconds, None if looks is None else looks[row])
        ]
        cut = looks is not None and bool(before) and len(left) == len(faces) > 0
        if cut:
            self.tracks.clear()
        vectors = identify(left) if identify is not None and left else None
        for index, row in enumerate(left):
            look = None if looks is None else looks[row]
            self._begin(faces[row], look, None if vectors is None else vectors[index], 1.0 if first or cut else 0.0)
        for track in self.tracks:
            step = seconds / FADE_SECONDS
            shown = track.seen and (self.force or not track.face.unfit)
            track.fade = min(track.fade + step, 1.0) if shown else max(track.fade - step, 0.0)
        self.tracks = [track for track in self.tracks if track.seen or track.fade > 0]
        return self.tracks

    def _go_on(self, face: Face, seconds: float, look: NDArray[np.float32] | None) -> bool:
        """Give the face to the nearest track that has none in this frame, if it is near and looks alike."""
        center, reach = face.landmarks.mean(0), MAX_MOVE * max(face.inter_ocular, 1.0)
        far = {id(t): float(np.linalg.norm(t.face.landmarks.mean(0) - center)) for t in self.tracks if not t.seen}
        near = sorted((t for t in self.tracks if not t.seen and far[id(t)] <= reach), key=lambda t: far[id(t)])
        for track in near:
            if look is None or track.look is None or float(look @ track.look) >= SAME_LOOK:
                smoothed = track.smooth(face.landmarks, seconds, max(face.inter_ocular, 1.0))
                track.face, track.seen, track.look = replace(face, landmarks=smoothed.astype(np.float32)), True, look
                return True
        for track in near:  # another face has its place: nothing of its edit may show there
            track.fade = 0.0
        return False

    def _begin(self, face: Face, look: NDArray[np.float32] | None, person: NDArray[np.float32] | None, fade: float) -> None:
        """A new track, with the number of the person who is most alike, if one who is not in this frame is alike enough."""
        number, seen = self._next, {track.number for track in self.tracks if track.seen}
        if person is not None:
            alike = {n: float(person @ known) for n, known in self._persons.items() if n not in seen}
            best = max(alike, key=lambda n: alike[n], default=None)
            if best is not None and alike[best] >= SAME_PERSON:
                number = best
                self.tracks = [track for track in self.tracks if track.number != number]
            mean = person + self._persons.get(number, 0)
            self._persons[number] = mean / np.linalg.norm(mean)
        self._next = max(self._next, number + 1)
        track = Track(number, face, fade, look=look, known=person is not None)
        track.smooth(face.landmarks, 0.0)
        self.tracks.append(track)


class FaceSelector:
    """Selects the tracks to edit: all, or one that stays selected: where persons are known, for the whole film."""

    def __init__(self, which: str | int) -> None:
        self.which = which
        self._chosen: int | None = None
        self._known = False

    def __call__(self, tracks: Sequence[Track]) -> list[Track]:
        if self.which == "all":
            return list(tracks)
        if self._chosen is None or not (self._known or self._chosen in {track.number for track in tracks}):
            track = self._choose(sorted((t for t in tracks if t.seen), key=lambda t: t.face.box[0] - t.face.box[2]))
            self._chosen, self._known = (None, False) if track is None else (track.number, track.known)
        return [track for track in tracks if track.number == self._chosen]

    def _choose(self, by_size: Sequence[Track]) -> Track | None:
        if isinstance(self.which, str) and self.which != "largest":
            x, y = (float(part) for part in self.which.split(","))
            held = (t for t in by_size if t.face.box[0] <= x <= t.face.box[2] and t.face.box[1] <= y <= t.face.box[3])
            return next(held, None)
        index = 0 if self.which == "largest" else int(self.which)
        return by_size[index] if index < len(by_size) else None
