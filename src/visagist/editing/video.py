"""A video in, the edited video out: frame by frame, with sound as it was, in memory that does not grow with length."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.ownership import refuse_foreign
from visagist.editing.modes import Mode
from visagist.editing.photo_edit import FaceEditor, apply_changes, compute_changes
from visagist.editing.selection.face_choice import FaceChoice
from visagist.editing.selection.likeness import look_vectors, person_vectors
from visagist.errors import NoFaceError, VisagistError
from visagist.faces.detection import detect
from visagist.faces.tracking import FaceSelector, Tracker
from visagist.files import rename_into_place, waiting_path
from visagist.photos.bounds import check_size
from visagist.photos.formats import WRITABLE_VIDEOS
from visagist.photos.provenance import Step, add_step, make_edit_step, video_box
from visagist.photos.provenance_reading import video_xmp
from visagist.photos.video_opening import check_codecs, check_frame_count, open_video, pyav
from visagist.progress import Progress, progress_of

_QUALITY = {"libx264": {"crf": "16"}, "libvpx-vp9": {"crf": "20", "b": "0", "cpu-used": "4"}}
_OWN_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "comment")
XMP_TAG = "XMP"  # of Matroska, which has no box for it


@dataclass(frozen=True)
class VideoReport:
    """What was done: frames in all, those in which a face was edited, and the most faces that one frame had.

    bits  of a channel of the video that was read; 8 are written
    """

    frames: int
    edited: int
    faces: int
    step: Step
    bits: int = 8


def edit_video(
    editor: FaceEditor,
    video: Path,
    out: Path,
    strengths: Mapping[str, float],
    *,
    mode: str = "detail",
    face: FaceChoice = "largest",
    strip_metadata: bool = False,
    force: bool = False,
    progress: Progress | Callable[[int, int], None] | None = None,
) -> VideoReport:
    """Write `video` with its faces edited to `out`: mp4, m4v, mov, mkv or webm, whole or not at all.

    Faces are found in each frame and followed by place and likeness; `face` chooses a person for the whole film, and nobody
    is edited where that person is not seen. Faces that are `unfit` are edited only by `force`. Landmarks are smoothed over
    time, and an edit fades in and out in a quarter of a second as its face comes and goes. Sound is copied packet by packet.
    Frames keep their times; those that lie on their side are written upright. The picture is coded anew, with 8 bits a
    channel. Raises NoFaceError where no frame shows a face, VisagistError for what is no video.
    """
    editor.setting(**strengths)
    mode = Mode(mode)
    row = WRITABLE_VIDEOS.get(out.suffix.lower())
    if row is None:
        raise VisagistError(f"videos are not written as {out.suffix}: give one of {', '.join(WRITABLE_VIDEOS)}")
    av = pyav()
    refuse_foreign(out, "choose another --out, or add --overwrite")
    step, waiting = make_edit_step(editor, strengths, mode, 0), _beside(out)
    try:
        with _errors(av, video, out), open_video(video) as source:
            with av.open(str(waiting), "w", format=row.muxer) as output:
                xmp = add_step(video_xmp(video), step, only_history=strip_metadata)
                _describe(source, output, step, out, xmp, strip_metadata)
                video_pass = VideoPass(av, editor, source, output, out, strengths, mode, face, force)
                with progress_of(progress) as shown:
                    frames, edited, most = video_pass.run(shown)
                    bits = video_pass.bits
            if not edited:
                raise NoFaceError(f"no face was found in any of the {frames} frames of {video}: give another video")
            if row.boxed:
                with waiting.open("ab") as written:
                    written.write(video_box(xmp))
        rename_into_place(waiting, out, "choose another --out, or add --overwrite")
    finally:
        waiting.unlink(missing_ok=True)
    return VideoReport(frames, edited, most, step, bits)


class VideoPass:
    """One pass over a video: packets of sound are copied, frames are decoded, edited and encoded."""

    def __init__(
        self, av: Any, editor: FaceEditor, source: Any, output: Any, out: Path, strengths: Mapping[str, float], mode: str,
        face: FaceChoice, force: bool = False,
    ) -> None:  # fmt: skip
        self.av, self.editor, self.source, self.output = av, editor, source, output
        self.strengths, self.mode = strengths, mode
        if not source.streams.video:
            raise VisagistError(f"{source.name} has no pictures: give a video")
        self.codec = WRITABLE_VIDEOS[out.suffix.lower()].codec
        self.pictures = source.streams.video[0]
        self.pictures.thread_type = "AUTO"
        check_codecs(source.name, source.streams.audio)
        try:
            self.sound = {stream.index: output.add_stream_from_template(stream) for stream in source.streams.audio}
        except ValueError as error:
            raise VisagistError(f"{out} cannot hold the sound of {source.name} ({error}): write .mkv instead") from error
        self.written: Any = None
        self.tracker, self.select = Tracker(force), FaceSelector(face)
        self.frames = self.edited = self.most = 0
        self.shown, self.bits = -(1 << 62), 8

    def run(self, progress: Progress) -> tuple[int, int, int]:
        """Edit all frames; how many there were, in how many a face was edited, and the most faces that one had."""
        streams = [self.pictures, *(s for s in self.source.streams.audio)]
        held: list[Any] = []  # sound that comes before the first picture, whose stream must be there first
        for packet in self.source.demux(streams):
            if packet.stream.index in self.sound:
                if packet.dts is not None:
                    packet.stream = self.sound[packet.stream.index]
                    held.append(packet)
            else:
                for frame in packet.decode():
                    self._frame(frame)
                    progress.report(self.frames, max(self.pictures.frames, self.frames))
            if self.written is not None:
                for sound in held:
                    self.output.mux(sound)
                held.clear()
        if self.written is None:
            raise VisagistError(f"{self.source.name} has no pictures that can be read: give a whole video")
        self.output.mux([*self.written.encode(), *held])
        return self.frames, self.edited, self.most

    def _frame(self, frame: Any) -> None:
        check_size(self.source.name, frame.width * frame.height)
        self.bits = max(self.bits, *(component.bits for component in frame.format.components))
        check_frame_count(self.source.name, self.frames + 1)
        pixels = _upright(frame.to_ndarray(format="rgb24"), frame.rotation)
        if self.written is None:
            self.written = self._stream(frame, pixels.shape[1], pixels.shape[0])
        faces = detect(pixels)
        self.frames, self.most = self.frames + 1, max(self.most, len(faces))
        time = float(frame.time) if frame.time is not None else self.frames / float(self.pictures.average_rate or 25)
        looks = look_vectors(pixels, faces)
        tracks = self.tracker.update(faces, time, looks, lambda rows: person_vectors(pixels, [faces[row] for row in rows]))
        shown = self.select(tracks)
        others = [track.face for track in tracks if track.seen]
        edits = compute_changes(self.editor, pixels, [track.face for track in shown], self.strengths, self.mode, others)
        faded = [replace(c, detail=c.detail * np.float32(track.fade)) for c, track in zip(edits, shown) if track.fade > 0]
        self.edited += bool(faded)
        self._write(frame, apply_changes(pixels, faded))

    def _write(self, frame: Any, pixels: NDArray[np.uint8]) -> None:
        edited = self.av.VideoFrame.from_ndarray(pixels, format="rgb24")
        edited = edited.reformat(format=self.written.pix_fmt, dst_colorspace=frame.colorspace)
        edited.pts, edited.time_base = self._time(frame), frame.time_base
        self.output.mux(self.written.encode(edited))

    def _time(self, frame: Any) -> int:
        """When a frame is shown, after the one before; of an AVI, which says nothing of it, by its number and the rate."""
        rate = self.pictures.average_rate or self.pictures.guessed_rate or 25
        counted = round((self.frames - 1) / rate / (frame.time_base or self.pictures.time_base))
        self.shown = max(frame.pts if frame.pts is not None else counted, self.shown + 1)
        return self.shown

    def _stream(self, frame: Any, width: int, height: int) -> Any:
        rate = self.pictures.average_rate or self.pictures.guessed_rate or 25
        stream = self.output.add_stream(self.codec, rate=rate, options=_QUALITY[self.codec])
        stream.width, stream.height = width, height
        # 4:2:0 needs even sides; what every player reads otherwise.
        stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        context, before = stream.codec_context, self.pictures.codec_context
        context.time_base = frame.time_base or self.pictures.time_base
        context.colorspace, context.color_primaries = before.colorspace, before.color_primaries
        context.color_trc = before.color_trc
        if before.sample_aspect_ratio and frame.rotation % 180 == 0:
            context.sample_aspect_ratio = before.sample_aspect_ratio
        context.thread_count = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
        return stream


def _describe(source: Any, output: Any, step: Step, out: Path, xmp: bytes, strip: bool) -> None:
    """The tags of the container: those that were there, and what was done."""
    if not strip:
        output.metadata.update({key: value for key, value in source.metadata.items() if key not in _OWN_TAGS})
    before = "" if strip else source.metadata.get("comment", "")
    output.metadata["comment"] = "\n".join(part for part in (before, step.note) if part)
    if not WRITABLE_VIDEOS[out.suffix.lower()].boxed:
        output.metadata[XMP_TAG] = xmp.decode()


def _upright(pixels: NDArray[np.uint8], rotation: int) -> NDArray[np.uint8]:
    """A frame as it is shown; `rotation` is counterclockwise, in degrees."""
    return np.ascontiguousarray(np.rot90(pixels, round(rotation / 90) % 4)) if rotation else pixels


def _beside(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VisagistError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    return waiting_path(out)


@contextmanager
def _errors(av: Any, video: Path, out: Path) -> Iterator[None]:
    """Raise what FFmpeg reports as a VisagistError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise VisagistError(f"there is no video {video}: check the path") from error
    except av.error.FFmpegError as error:
        reason = " ".join(str(error).split())
        raise VisagistError(f"cannot edit {video} into {out}: {reason}; give a whole video, or another place") from error
