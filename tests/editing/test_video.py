"""A video comes back with its sound as it was, its times, its way up, and faces that do not tremble."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from photo_seeds import portrait
from PIL import Image

from visagist.cli.inputs import targets
from visagist.editing.editor import Editor
from visagist.editing.input_files import Input
from visagist.editing.video import edit_video
from visagist.errors import NoFaceError, VisagistError
from visagist.faces.detection import Face, detect
from visagist.faces.tracking import FADE_SECONDS, FaceSelector, OneEuro, Tracker
from visagist.photos import video_opening
from visagist.photos.formats import VIDEO_SUFFIXES
from visagist.photos.provenance_reading import read_provenance

RATE, SIZE = 10, (240, 200)


def frame_at(number: int) -> np.ndarray:
    """The portrait moving to the right, two pixels a frame."""
    whole = Image.new("RGB", SIZE, (120, 130, 140))
    whole.paste(portrait(150), (20 + 2 * number, 40))
    return np.asarray(whole)


def write_clip(path: Path, frames: list[np.ndarray], *, rotation: int = 0, sound: bool = True) -> None:
    """An MP4 of these frames with a tone."""
    with av.open(str(path), "w") as made:
        made.metadata["title"] = "a clip"
        video = made.add_stream("libx264", rate=RATE, options={"crf": "14"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        audio = made.add_stream("aac", rate=16000, layout="mono") if sound else None
        for pixels in frames:
            made.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        made.mux(video.encode())
        if audio is not None:
            tone = np.sin(np.arange(16000 * len(frames) // RATE) * 440 * 2 * np.pi / 16000).astype(np.float32)
            for start in range(0, len(tone) - 1023, 1024):
                heard = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 16000, start, Fraction(1, 16000)
                made.mux(audio.encode(heard))
            made.mux(audio.encode())


def sound(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as source:
        return [(p.pts, bytes(p)) for p in source.demux(source.streams.audio[0]) if p.size]


def pictures(path: Path) -> tuple[list[float], list[np.ndarray], float]:
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        frames = list(source.decode(stream))
        return [f.time for f in frames], [f.to_ndarray(format="rgb24") for f in frames], float(stream.average_rate)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")


def test_a_clip_is_edited_with_its_sound_its_times_and_its_account(editor: Editor, tmp_path: Path) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    write_clip(clip, [frame_at(i) for i in range(4)])
    report = edit_video(editor, clip, out, {"Smiling": -1.0})
    assert (report.frames, report.edited, report.faces) == (4, 4, 1)
    assert sound(out) == sound(clip)
    (times, before, rate), (times_after, after, rate_after) = pictures(clip), pictures(out)
    assert (times_after, rate_after) == (times, rate)
    moved = np.abs(np.stack(after).astype(int) - np.stack(before)).mean((0, 3))
    assert moved[70:150, 50:130].mean() > 2 * moved[:20].mean()
    assert moved[:20].mean() < 1.5
    said = read_provenance(out)
    assert said.steps == (report.step,)
    assert "edited with visagist, ifcvae-gan-smiling-64: Smiling=-1" in said.software
    with av.open(str(out)) as made:
        assert made.metadata["title"] == "a clip"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_a_clip_on_its_side_is_written_upright(editor: Editor, tmp_path: Path) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out.mkv"
    write_clip(clip, [np.rot90(frame_at(0), -1)] * 2, rotation=90, sound=False)
    edit_video(editor, clip, out, {"Smiling": 1.0})
    _, frames, _ = pictures(out)
    assert np.abs(frames[0].astype(int) - frame_at(0)).mean() < 12
    assert read_provenance(out).steps[0].settings == "Smiling=1"


def test_what_is_no_video_or_shows_no_face_is_refused_and_nothing_is_left(editor: Editor, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [np.full((64, 64, 3), 90, np.uint8)] * 2, sound=False)
    with pytest.raises(NoFaceError, match="in any of the 2 frames"):
        edit_video(editor, clip, tmp_path / "out.mp4", {"Smiling": 1.0})
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:200])
    with pytest.raises(VisagistError, match="cannot edit"):
        edit_video(editor, tmp_path / "broken.mp4", tmp_path / "out.mp4", {"Smiling": 1.0})
    write_clip(tmp_path / "heard.mp4", [frame_at(0)])
    with pytest.raises(VisagistError, match=r"cannot hold the sound.*aac.*write \.mkv"):
        edit_video(editor, tmp_path / "heard.mp4", tmp_path / "out.webm", {"Smiling": 1.0})
    (tmp_path / "heard.mp4").unlink()
    with pytest.raises(VisagistError, match=r"not written as \.gif"):
        edit_video(editor, clip, tmp_path / "out.gif", {"Smiling": 1.0})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "clip.mp4"]


def a_face() -> Face:
    (face,) = detect(frame_at(0))
    return face


def moved_by(face: Face, shift: np.ndarray) -> Face:
    from dataclasses import replace

    return replace(face, landmarks=(face.landmarks + shift).astype(np.float32))


def test_landmarks_are_smoother_than_they_were_found_and_keep_up() -> None:
    face, draw, tracker = a_face(), np.random.default_rng(0), Tracker()
    still = [moved_by(face, draw.normal(0, 1, (5, 2))) for _ in range(60)]
    shown = [tracker.update([one], i / 30)[0].face.landmarks.copy() for i, one in enumerate(still)]
    raw = np.stack([one.landmarks for one in still])
    tremble = [float(np.abs(np.diff(path[20:], axis=0)).mean()) for path in (raw, np.stack(shown))]
    assert tremble[1] < 0.4 * tremble[0]
    tracker = Tracker()
    unit = face.inter_ocular
    steady = [tracker.update([moved_by(face, np.array([unit * i / 10, 0.0]))], i / 30)[0] for i in range(30)]
    behind = face.landmarks.mean(0)[0] + unit * 2.9 - steady[-1].face.landmarks.mean(0)[0]
    assert 0 <= behind < 0.25 * unit


def test_one_euro_gives_back_its_first_value_and_converges() -> None:
    smooth = OneEuro()
    assert np.array_equal(smooth(np.ones((5, 2)), 0.0), np.ones((5, 2)))
    for _ in range(200):
        value = smooth(np.zeros((5, 2)), 1 / 30)
    assert np.abs(value).max() < 1e-3


def test_an_edit_fades_in_and_out_with_its_face_and_the_chosen_one_stays_chosen() -> None:
    face, tracker, choose = a_face(), Tracker(), FaceSelector("largest")
    other = moved_by(face, np.array([face.inter_ocular * 6, 0.0]))
    assert choose(tracker.update([face], 0.0))[0].fade == 1
    both = tracker.update([face, other], FADE_SECONDS / 2)
    assert [track.fade for track in both] == pytest.approx([1, 0.5])
    assert [track.number for track in choose(both)] == [0]
    gone = tracker.update([other], FADE_SECONDS)
    assert [track.fade for track in gone] == pytest.approx([0.5, 1])
    assert [track.number for track in choose(gone)] == [0]
    after = tracker.update([other], 2 * FADE_SECONDS)
    assert [track.number for track in after] == [1]
    assert [track.number for track in choose(after)] == [1]
    assert len(FaceSelector("all")(after)) == 1


LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile {clip}\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{clip}</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "srt": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
}


@pytest.mark.parametrize("name", list(LISTS))
def test_a_list_of_files_that_is_called_a_video_opens_none_of_them(editor: Editor, tmp_path: Path, name: str) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [frame_at(0)], sound=False)
    for suffix in VIDEO_SUFFIXES:
        given = tmp_path / f"list{suffix}"
        given.write_text(LISTS[name].format(clip=clip.name))
        with pytest.raises(VisagistError, match="no video that can be read: give MP4"):
            edit_video(editor, given, tmp_path / "out.mp4", {"Smiling": 1.0})
        if suffix not in (".mp4", ".m4v", ".mov"):
            with pytest.raises(VisagistError, match="no video that can be read"):
                read_provenance(given)
    assert not (tmp_path / "out.mp4").exists()


def test_a_pattern_of_pictures_and_a_name_that_is_a_protocol_are_names_of_files(editor: Editor, tmp_path: Path) -> None:
    Image.fromarray(frame_at(0)).save(tmp_path / "a000.png")
    for name in ("a%03d.png", "a*.png", "concat:clip.mp4", "http:clip.mp4"):
        with pytest.raises(VisagistError, match="there is no video"):
            edit_video(editor, tmp_path / name, tmp_path / "out.mp4", {"Smiling": 1.0})
    with pytest.raises(VisagistError, match="no video that can be read"):
        edit_video(editor, tmp_path / "a000.png", tmp_path / "out.mp4", {"Smiling": 1.0})


def test_a_video_of_too_large_or_too_many_frames_is_refused(
    editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [frame_at(i) for i in range(4)], sound=False)
    with monkeypatch.context() as patched:
        patched.setattr(video_opening, "MAX_VIDEO_FRAMES", 3)
        with pytest.raises(VisagistError, match="4 frames, more than 3: cut it into parts"):
            edit_video(editor, clip, tmp_path / "out.mp4", {"Smiling": 1.0})
    monkeypatch.setenv("VISAGIST_MAX_MEGAPIXELS", "0.04")
    with pytest.raises(VisagistError, match=r"0\.0 megapixels, more than"):
        edit_video(editor, clip, tmp_path / "out.mp4", {"Smiling": 1.0})
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("boxes", [(b"avc1",), (b"mp4a", b"esds")])
def test_a_stream_of_an_unknown_codec_is_refused(boxes: tuple[bytes, ...], editor: Editor, tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", [frame_at(i) for i in range(4)])
    data = (tmp_path / "whole.mp4").read_bytes()
    for box in boxes:
        head, _, tail = data.rpartition(box)
        data = head + b"zzzz" + tail
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(VisagistError, match=r"the codec of stream \d .* is unknown"):
        edit_video(editor, tmp_path / "clip.mp4", tmp_path / "out.mp4", {"Smiling": 1.0})


def test_an_avi_is_read_and_becomes_another_container(editor: Editor, tmp_path: Path) -> None:
    clip, out = tmp_path / "clip.avi", tmp_path / "out.mkv"
    write_clip(clip, [frame_at(i) for i in range(3)], sound=False)
    assert edit_video(editor, clip, out, {"Smiling": -1.0}).frames == 3
    with pytest.raises(VisagistError, match=r"not written as \.avi"):
        edit_video(editor, clip, tmp_path / "out.avi", {"Smiling": 1.0})
    ((target,), _) = targets([Input(clip, Path(clip.name))], tmp_path / "folder", [])
    assert target.edited == tmp_path / "folder" / "clip.mp4"
