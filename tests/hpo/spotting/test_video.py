"""Videos cut and read back: every frame tells its own number."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import barcode_video
import numpy as np
import pytest
from barcode_video import FRAME_RATE

from hpo.spotting.video import (
    PARTS_FOLDER,
    Video,
    check_clips,
    check_same_kind,
    edl_rate,
    exact_rate,
    find_ffmpeg,
    open_video,
    write_video,
)
from model.errors import ConfigError, UserError
from model.inference.clips import Clip, Moment

SECOND_HALF = 32768
"""Added to the numbers of the second half's frames."""
KEY_FRAMES = 40


def clip(half: int, start_s: float, stop_s: float) -> Clip:
    moment = Moment(kind="spot", half=half, class_index=0, start_s=start_s, stop_s=start_s, score=0.9)
    return Clip(half=half, start_s=start_s, stop_s=stop_s, moments=(moment,))


CLIPS = (clip(0, 0.0, 3.5), clip(0, 11.5, 15.0), clip(0, 17.0, 20.0), clip(1, 4.5, 9.0), clip(1, 16.5, 20.0))


@pytest.fixture(scope="module")
def ffmpeg() -> str:
    return find_ffmpeg()


@pytest.fixture(scope="module")
def videos(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Video]:
    folder = tmp_path_factory.mktemp("videos")
    files = [folder / "1_224p.mkv", folder / "2_224p.mkv"]
    for file, first_number in zip(files, (0, SECOND_HALF), strict=True):
        barcode_video.write_video(ffmpeg, file, seconds=20, first_number=first_number, key_frames=KEY_FRAMES)
    return {half: open_video(ffmpeg, file) for half, file in enumerate(files)}


def wanted(part: Clip) -> tuple[int, int]:
    first = part.half * SECOND_HALF
    return first + round(part.start_s * FRAME_RATE), first + round(part.stop_s * FRAME_RATE) - 1


def assert_to_the_frame(found: list[tuple[int, int]], clips: Sequence[Clip]) -> None:
    assert len(found) == len(clips)
    for (first, last), part in zip(found, clips, strict=True):
        assert abs(first - wanted(part)[0]) <= 1 and abs(last - wanted(part)[1]) <= 1


def test_encoded_clips_begin_and_end_on_the_frame_in_order_from_both_halves(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    write_video(ffmpeg, videos, CLIPS, tmp_path / "film.mp4", copy=False)
    found = barcode_video.shown(ffmpeg, tmp_path / "film.mp4")
    assert_to_the_frame(found, CLIPS)
    seconds = sum(part.stop_s - part.start_s for part in CLIPS)
    assert open_video(ffmpeg, tmp_path / "film.mp4").duration_s == pytest.approx(seconds, abs=0.2)
    assert barcode_video.sound_seconds(ffmpeg, tmp_path / "film.mp4") == pytest.approx(seconds, abs=0.2)


def test_videos_and_clips_may_lie_in_folders_of_any_name(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"-a 50%d?x=1#y: ['b']\"\n\xff\xfe")
    folder.mkdir()
    film = folder / "film [1] 'x'.mp4"
    here = {
        half: open_video(ffmpeg, Path(shutil.copy(video.file, folder / f"{video.file.name} %d?")))
        for half, video in videos.items()
    }
    write_video(ffmpeg, here, CLIPS, film, copy=True)
    write_video(ffmpeg, videos, CLIPS, tmp_path / "film.mp4", copy=True)
    assert film.read_bytes() == (tmp_path / "film.mp4").read_bytes()


def test_copied_clips_begin_at_the_key_frame_before(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    write_video(ffmpeg, videos, CLIPS, tmp_path / "film.mp4", copy=True)
    found = barcode_video.shown(ffmpeg, tmp_path / "film.mp4")
    assert len(found) == len(CLIPS)
    for (first, last), part in zip(found, CLIPS, strict=True):
        start, stop = wanted(part)
        half = part.half * SECOND_HALF
        assert first == half + (start - half) // KEY_FRAMES * KEY_FRAMES
        assert abs(last - stop) <= 2


def test_the_same_command_again_gives_the_same_film(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    file = tmp_path / "film.mp4"
    write_video(ffmpeg, videos, CLIPS[:2], file, copy=False)
    before = file.read_bytes()
    (tmp_path / PARTS_FOLDER).mkdir()  # of a run that was killed
    (tmp_path / PARTS_FOLDER / "0000.mov").write_bytes(b"half a part")
    write_video(ffmpeg, videos, CLIPS[:2], file, copy=False)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_halves_of_different_size_become_one_film_unless_copied(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    large = tmp_path / "2: large.mp4"
    barcode_video.write_video(
        ffmpeg, large, seconds=10, first_number=SECOND_HALF, key_frames=KEY_FRAMES, scale="512:64"
    )
    both = {0: videos[0], 1: open_video(ffmpeg, large)}
    parts = (CLIPS[0], CLIPS[3])
    with pytest.raises(UserError, match="h264 256x32 and h264 512x64") as caught:
        check_same_kind(both.values())
    assert caught.value.details["fix"] == "leave out --copy"
    write_video(ffmpeg, both, parts, tmp_path / "film.mp4", copy=False)
    assert_to_the_frame(barcode_video.shown(ffmpeg, tmp_path / "film.mp4"), parts)


def made(ffmpeg: str, file: Path, *options: str, size: str = "96x64", seconds: int = 6) -> Video:
    """A video of one colour with the given options, by default without sound."""
    source = ["-f", "lavfi", "-i", f"color=red:size={size}:rate=25:duration={seconds}"]
    command = [ffmpeg, "-loglevel", "error", *source, *options, "-pix_fmt", "yuv420p", str(file)]
    subprocess.run(command, check=True)
    return open_video(ffmpeg, file)


def test_film_of_a_video_that_is_cut_off_is_refused(ffmpeg: str, tmp_path: Path) -> None:
    whole = made(ffmpeg, tmp_path / "whole.mkv", "-g", "10", seconds=20)
    content = whole.file.read_bytes()
    whole.file.write_bytes(content[: len(content) // 3])  # its header still says 20 s
    cut_off = open_video(ffmpeg, whole.file)
    assert cut_off.duration_s == 20
    for copy in (False, True):
        with pytest.raises(UserError, match="the video ends early: expected 5 s from 14 s on, got 0"):
            write_video(ffmpeg, {0: cut_off}, [clip(0, 14.0, 19.0)], tmp_path / "film.mp4", copy=copy)
    assert not (tmp_path / "film.mp4").exists()


def test_half_without_sound_does_not_take_that_of_the_other(ffmpeg: str, tmp_path: Path) -> None:
    silent = made(ffmpeg, tmp_path / "silent.mkv")
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=6", "-c:a", "aac")
    loud = made(ffmpeg, tmp_path / "loud.mkv", *tone)
    assert (silent.has_sound, loud.has_sound) == (False, True)
    parts = [clip(0, 1.0, 3.0), clip(1, 1.0, 3.0)]
    write_video(ffmpeg, {0: silent, 1: loud}, parts, tmp_path / "film.mp4", copy=False)
    film = open_video(ffmpeg, tmp_path / "film.mp4")
    assert film.has_sound and abs(film.duration_s - 4) < 0.2
    with pytest.raises(UserError, match=r"96x64 without sound and .* 96x64"):
        check_same_kind([silent, loud])


def test_frame_rate_of_a_video_is_exact(ffmpeg: str, videos: dict[int, Video], tmp_path: Path) -> None:
    assert [video.frame_rate for video in videos.values()] == [FRAME_RATE, FRAME_RATE]
    television = made(ffmpeg, tmp_path / "29.97.mkv", "-r", "30000/1001", seconds=1)
    assert television.frame_rate == Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("stated", "exact"),
    [(23.976, Fraction(24000, 1001)), (23.98, Fraction(24000, 1001)), (59.94, Fraction(60000, 1001))]
    + [(rate, Fraction(rate)) for rate in (1, 5, 12.5, 24, 30, 50, 99, 100)],
)
def test_rate_that_is_written_rounded_is_that_of_television(stated: float, exact: Fraction) -> None:
    assert exact_rate(stated) == exact


@pytest.mark.parametrize("average", [28.27, 27.97, 12.5, 29.9, 120])
def test_rate_that_timecodes_cannot_count_is_refused(average: float) -> None:
    phone = Video(Path("phone.mp4"), 600.0, "h264", "96x64", False, frame_rate=exact_rate(average))
    with pytest.raises(UserError, match=f"variable or unusual frame rate, .*: {average} frames") as caught:
        edl_rate([phone], None)
    assert caught.value.details["file"] == "phone.mp4" and "--timecode-rate" in caught.value.details["fix"]
    assert edl_rate([phone], 30.0) == 30
    with pytest.raises(ConfigError, match=f"a whole number, or as a rate of television .*, got {average}"):
        edl_rate([], average)


def test_timecodes_have_the_one_rate_of_the_videos() -> None:
    silent = Video(Path("1.mp4"), 600.0, "h264", "96x64", False)
    first, second = (replace(silent, frame_rate=exact_rate(rate)) for rate in (23.98, 25.0))
    assert edl_rate([silent], None) == 25 and edl_rate([silent, first], None) == Fraction(24000, 1001)
    with pytest.raises(UserError, match=r"the videos have 23\.976 and 25 frames per second"):
        edl_rate([first, second], None)


def red_size(ffmpeg: str, videos: dict[int, Video], half: int, film: Path) -> tuple[int, int]:
    """Cut a second from each half, and return the width and height in pixels of what is red in one."""
    write_video(ffmpeg, videos, [clip(each, 1.0, 2.0) for each in videos], film, copy=False)
    start = ["-ss", f"{list(videos).index(half) + 0.5}"]
    command = [ffmpeg, "-loglevel", "error", *start, "-i", str(film), "-frames:v", "1"]
    raw = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE, check=True
    )
    opened = open_video(ffmpeg, film)
    assert opened.pixel_aspect == 1
    width, height = map(int, opened.size.split("x"))
    red = np.frombuffer(raw.stdout, dtype=np.uint8).reshape(height, width, 3)[..., 0] > 128
    return int(red[height // 2].sum()), int(red[:, width // 2].sum())


def test_picture_of_another_shape_is_not_squeezed(ffmpeg: str, tmp_path: Path) -> None:
    wide, tall = (made(ffmpeg, tmp_path / f"{size}.mkv", size=size) for size in ("96x64", "64x96"))
    across, down = red_size(ffmpeg, {0: wide, 1: tall}, 1, tmp_path / "film.mp4")
    assert abs(across - 64 * 64 // 96) <= 4 and down == 64, "black beside it"


def test_second_half_alone_is_cut_in_its_own_size(ffmpeg: str, tmp_path: Path) -> None:
    wide, tall = (made(ffmpeg, tmp_path / f"{size}.mkv", size=size) for size in ("96x64", "64x96"))
    write_video(ffmpeg, {0: wide, 1: tall}, [clip(1, 1.0, 2.0)], tmp_path / "film.mp4", copy=False)
    assert open_video(ffmpeg, tmp_path / "film.mp4").size == "64x96"


def test_picture_of_oblong_pixels_is_as_wide_as_it_is_shown(ffmpeg: str, tmp_path: Path) -> None:
    square = made(ffmpeg, tmp_path / "square.mkv")
    oblong = made(ffmpeg, tmp_path / "oblong.mkv", "-vf", "setsar=2")
    assert red_size(ffmpeg, {0: oblong}, 0, tmp_path / "film.mp4") == (192, 64)
    across, down = red_size(ffmpeg, {0: square, 1: oblong}, 1, tmp_path / "film.mp4")
    assert across == 96 and abs(down - 32) <= 4, "black above and below"
    with pytest.raises(UserError, match=r"h264 96x64 .*and h264 96x64 with pixels of 2"):
        check_same_kind([square, oblong])


def test_aspect_of_pixels_that_the_file_gives_goes_before_that_of_the_picture(
    ffmpeg: str, tmp_path: Path
) -> None:
    made(ffmpeg, tmp_path / "picture.mkv", "-vf", "setsar=2")
    again = [ffmpeg, "-loglevel", "error", "-i", str(tmp_path / "picture.mkv"), "-aspect", "96:64"]
    subprocess.run([*again, "-c", "copy", str(tmp_path / "file.mkv")], check=True)
    assert red_size(ffmpeg, {0: open_video(ffmpeg, tmp_path / "file.mkv")}, 0, tmp_path / "film.mp4") == (
        96,
        64,
    )


def test_video_that_is_shown_turned_has_the_size_that_is_shown(ffmpeg: str, tmp_path: Path) -> None:
    made(ffmpeg, tmp_path / "flat.mp4")
    turned = [ffmpeg, "-loglevel", "error", "-display_rotation", "90", "-i", str(tmp_path / "flat.mp4")]
    subprocess.run([*turned, "-c", "copy", str(tmp_path / "turned.mp4")], check=True)
    assert open_video(ffmpeg, tmp_path / "turned.mp4").size == "64x96"


def test_video_of_an_odd_size_is_cut_to_an_even_one(ffmpeg: str, tmp_path: Path) -> None:
    odd = made(ffmpeg, tmp_path / "odd.mkv", "-c:v", "ffv1", size="97x65")
    assert red_size(ffmpeg, {0: odd}, 0, tmp_path / "film.mp4") == (96, 64)


def test_video_that_is_too_short_for_its_half_is_told(videos: dict[int, Video]) -> None:
    check_clips(videos, [clip(1, 10.0, 21.0)])
    with pytest.raises(UserError, match="ends 90 s after the start of the half, its video lasts 20"):
        check_clips(videos, [clip(1, 55.0, 90.0)])


@pytest.mark.parametrize(
    ("given", "half", "fix"),
    [((0,), 1, "add --video-2 FILE"), ((1,), 0, "add --video-1 FILE"), ((0, 1), 2, "leave the videos out")],
)
def test_clip_in_a_half_without_video_is_told(
    videos: dict[int, Video], given: tuple[int, ...], half: int, fix: str
) -> None:
    with pytest.raises(UserError, match=f"a clip lies in half {half + 1}, whose video was not") as caught:
        check_clips({each: videos[each] for each in given}, [clip(half, 10.0, 21.0)])
    assert caught.value.details["fix"].startswith(fix)


def test_failure_of_ffmpeg_is_told_in_its_words_and_leaves_what_was_there(
    ffmpeg: str, videos: dict[int, Video], tmp_path: Path
) -> None:
    file = tmp_path / "film.mp4"
    file.write_bytes(b"an earlier film")
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    with pytest.raises(UserError, match=r"ffmpeg failed: .*Invalid data"):
        write_video(
            ffmpeg,
            dict.fromkeys((0, 1), Video(broken, 20.0, "h264", "256x32", True)),
            CLIPS,
            file,
            copy=False,
        )
    assert file.read_bytes() == b"an earlier film" and not (tmp_path / PARTS_FOLDER).exists()
    with pytest.raises(UserError, match="ffmpeg cannot read this file as a video"):
        open_video(ffmpeg, broken)
    with pytest.raises(UserError, match="the video does not exist"):
        open_video(ffmpeg, tmp_path / "nowhere.mkv")


def test_without_ffmpeg_it_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="expected the tool ffmpeg on PATH") as caught:
        find_ffmpeg()
    assert "pip install" in caught.value.details["fix"]


def test_ffmpeg_on_the_path_goes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "ffmpeg"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(tool)
