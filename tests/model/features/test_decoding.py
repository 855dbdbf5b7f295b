"""Frames are taken by their timestamps; what a video lacks is told and filled, never shifted."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from generated_video import BARS, HEIGHT, WIDTH, av, number_in, picture_of, steady, write_video

from model.errors import DataError
from model.features.decoding import Gap, Video, frames_from


def numbers(file: Path, per_second: float, *, first: int = 0) -> list[int]:
    return [number_in(frame) for frame in frames_from(file, per_second, first=first)]


def farthest_frames_off(found: list[int], per_second: float, rate: Fraction) -> float:
    """Largest distance, in frames of the video, between what a feature shows and its time."""
    wanted = np.arange(len(found)) / per_second * float(rate)
    off = (np.array(found) - wanted + (1 << (BARS - 1))) % (1 << BARS) - (1 << (BARS - 1))
    return float(np.abs(off).max())


@pytest.mark.parametrize("per_second", [1.0, 2.0, 25.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_no_feature_is_more_than_half_a_frame_off(tmp_path: Path, name: str, per_second: float) -> None:
    found = numbers(write_video(tmp_path / name, steady(500)), per_second)
    assert len(found) == 20 * per_second
    assert farthest_frames_off(found, per_second, Fraction(25)) <= 0.5 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1001)])
def test_no_feature_is_more_than_half_a_frame_off_after_50_minutes(tmp_path: Path, rate: Fraction) -> None:
    file = write_video(tmp_path / "a.mp4", steady(int(3000 * rate), rate), rate=rate)
    for per_second in (2.0, 25.0):
        found = numbers(file, per_second)
        assert abs(len(found) - 3000 * per_second) <= 1
        assert farthest_frames_off(found, per_second, rate) <= 0.5 + 1e-3


def test_odd_rates_do_not_drift(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    found = numbers(write_video(tmp_path / "a.mp4", steady(900, rate), rate=rate), 2.0)
    assert len(found) == 61 and farthest_frames_off(found, 2.0, rate) <= 0.5 + 1e-3


def test_variable_rate_shows_what_is_on_screen(tmp_path: Path) -> None:
    # Frames 0 to 49 in two seconds, then one each second.
    times = [*steady(50), *(Fraction(second) for second in range(2, 8))]
    found = numbers(write_video(tmp_path / "a.mkv", times), 2.0)
    assert found[:4] == [0, 12, 25, 37] or found[:4] == [0, 13, 25, 38]
    assert found[4:15] == [50, 50, 51, 51, 52, 52, 53, 53, 54, 54, 55]


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_stream_that_begins_late_is_not_shifted(tmp_path: Path, name: str) -> None:
    found = numbers(write_video(tmp_path / name, steady(250, start_s=Fraction(7, 2))), 2.0)
    assert found[:3] in ([0, 12, 25], [0, 13, 25]) and len(found) == 20


def test_decoding_from_the_middle_gives_the_same_frames(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.ts", "a.avi"):
        file = write_video(tmp_path / name, steady(500), codec="mpeg4" if name == "a.avi" else "libx264")
        assert numbers(file, 2.0, first=23) == numbers(file, 2.0)[23:]


def test_decoding_from_after_the_last_key_frame_gives_the_same_frames(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "250", "threads": "1"}
    file = write_video(tmp_path / "a.ts", steady(500), options=options)
    whole = numbers(file, 2.0)
    for first in (28, 39, 40):
        assert numbers(file, 2.0, first=first) == whole[first:]


def broken_in_the_middle(file: Path, folder: Path) -> Path:
    """A copy of a video in which the packets of the frames from 5.00 s to 5.36 s are noise."""
    copy = folder / f"broken{file.suffix}"
    noise = np.random.default_rng(1)
    with av.open(str(file)) as source, av.open(str(copy), "w") as target:
        stream = source.streams.video[0]
        written = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            if 125 <= round(packet.pts * packet.time_base * 25) < 134:
                data = av.Packet(noise.bytes(packet.size))
                data.pts, data.dts, data.time_base = packet.pts, packet.dts, packet.time_base
                data.duration, data.is_keyframe = packet.duration, packet.is_keyframe
                packet = data
            packet.stream = written
            target.mux(packet)
    return copy


def test_broken_packets_are_told_with_their_time_and_filled(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", steady(300), codec="mjpeg")
    gaps: list[Gap] = []
    found = [
        number_in(frame) for frame in frames_from(broken_in_the_middle(whole, tmp_path), 25, note=gaps.append)
    ]
    assert found == [*range(125), *[124] * 9, *range(134, 300)]
    (gap,) = gaps
    assert (gap.start_s, gap.stop_s) == pytest.approx((5.0, 5.36))
    assert str(gap).startswith("0:05.0 to 0:05.4: ") and "the picture before is shown" in str(gap)


def test_broken_packets_of_h264_shift_nothing(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "10", "bf": "0"}
    whole = write_video(tmp_path / "a.mkv", steady(300), options=options)
    gaps: list[Gap] = []
    found = [
        number_in(frame) for frame in frames_from(broken_in_the_middle(whole, tmp_path), 25, note=gaps.append)
    ]
    assert len(found) == 300 and gaps and 4.9 < gaps[0].start_s < 5.1
    assert found[:125] == list(range(125)) and found[150:] == list(range(150, 300))


def test_long_pause_is_told(tmp_path: Path) -> None:
    times = [*steady(50), *(time + 30 for time in steady(50))]
    gaps: list[Gap] = []
    found = [
        number_in(frame) for frame in frames_from(write_video(tmp_path / "a.mkv", times), 1, note=gaps.append)
    ]
    assert found[2:30] == [49] * 28 and found[31] == 75
    assert [round(gap.stop_s) for gap in gaps] == [30]


def test_two_recordings_in_one_file_are_one_error(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.ts", steady(250)).read_bytes()
    (tmp_path / "both.ts").write_bytes(one + one)
    with pytest.raises(DataError, match=r"timestamps jump back from 0:10\.0 to 0:00\.0"):
        numbers(tmp_path / "both.ts", 2.0)


def test_timestamps_are_needed(tmp_path: Path) -> None:
    video, raw = write_video(tmp_path / "a.mp4", steady(50)), tmp_path / "a.h264"
    with av.open(str(video)) as source, av.open(str(raw), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(DataError, match="have no timestamps"):
        numbers(raw, 2.0)


def test_pictures_that_begin_after_the_sound_are_in_place(tmp_path: Path) -> None:
    file = tmp_path / "a.mkv"
    with av.open(str(file), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for second in range(12):
            frame.pts = 8000 * second
            container.mux(sound.encode(frame))
        for number in range(250):
            picture = av.VideoFrame.from_ndarray(picture_of(number), format="rgb24")
            picture.pts = 50 + number
            container.mux(video.encode(picture))
        container.mux(video.encode())
    gaps: list[Gap] = []
    found = [number_in(each) for each in frames_from(file, 2.0, note=gaps.append)]
    assert found[:6] in ([0, 0, 0, 0, 0, 12], [0, 0, 0, 0, 0, 13])
    assert not gaps  # two seconds are no gap


def test_half_a_file_is_one_error(tmp_path: Path) -> None:
    for name, codec, message in (
        ("a.mp4", "libx264", "cannot be opened"),
        ("a.mkv", "libx264", "the file states 0:40.0"),
        ("a.flv", "libx264", "the file states 0:40.0"),
        ("a.avi", "mpeg4", "the file states 0:40.0"),
    ):
        file = write_video(tmp_path / name, steady(1000), codec=codec)
        assert len(numbers(file, 2.0)) == 80
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(DataError, match=message):
            numbers(file, 2.0)


@pytest.mark.parametrize("missing", [200, 1])
def test_fragmented_file_that_is_cut_off_is_one_error(tmp_path: Path, missing: int) -> None:
    file = write_video(tmp_path / "a.mp4", steady(250), fragmented=True)
    whole = file.read_bytes()
    index = whole.rindex(b"mfra") - 4  # after the last fragment
    file.write_bytes(whole[: index - missing])
    with pytest.raises(DataError, match=f"cut off: {missing} bytes are missing"):
        numbers(file, 2.0)


@pytest.mark.parametrize("after", [b"", b"\0" * 20, b"notes of a recorder", b"\0\0\0"])
def test_bytes_after_a_whole_file_are_no_cut(tmp_path: Path, after: bytes) -> None:
    file = write_video(tmp_path / "a.mp4", steady(50), fragmented=True)
    file.write_bytes(file.read_bytes() + after)
    assert len(numbers(file, 2.0)) == 4


def test_sound_alone_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux([*stream.encode(sound), *stream.encode()])
    with pytest.raises(DataError, match="no video stream"):
        Video(file)


def test_picture_is_no_video(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    with av.open(str(file), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture_of(1), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(DataError, match="is a picture"):
        Video(file)


def test_one_of_several_video_streams_is_not_chosen_silently(tmp_path: Path) -> None:
    file = tmp_path / "a.mkv"
    with av.open(str(file), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(picture_of(1), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(DataError, match="has 2 video streams, expected one"):
        Video(file)


@pytest.mark.parametrize("content", [None, b"", b"not a video at all" * 100])
def test_what_is_no_video_is_one_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.mp4"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"does not exist|cannot be opened"):
        Video(file)
