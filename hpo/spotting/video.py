"""Video of highlights, which ffmpeg cuts from the videos of both halves."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from model.errors import ConfigError, UserError
from model.inference.clips import Clip

PARTS_FOLDER = ".highlights-parts"
MOST_VIDEOS = 2
"""Number of halves whose videos can be given."""
OVERHANG_S = 2.0
"""Seconds by which a video may be shorter than its features; the last clip then ends early."""
_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
_PICTURE = re.compile(
    r"Stream #0:\d+.*?: Video: (?P<codec>\w+).*? (?P<width>\d{2,5})x(?P<height>\d{2,5})"
    r"(?:.*\bSAR (?P<aspect>[1-9]\d*:[1-9]\d*))?"  # of two, the last one is the file's, which players use
)
_ROUNDED = 0.006
"""Largest difference of a number of two decimals from what it was rounded from, with a margin."""
_TELEVISION = (24, 30, 48, 60)
"""Whole numbers of frames that television shows in 1.001 seconds: 29.97 a second are 30000/1001."""
_USUAL_RATE, _HIGHEST_RATE = 25, 99
"""Frames per second of timecodes: where nothing says, and at most, for they have two digits for a frame."""
_RATE = re.compile(r"(\d+(?:\.\d+)?) fps")
_SOUND = re.compile(r"Stream #0:\d+.*?: Audio:")
_TURNED = re.compile(r"rotation of -?(?:90|270)\.")


@dataclass(frozen=True, slots=True)
class Video:
    """Recording of one half."""

    file: Path
    duration_s: float
    codec: str
    size: str
    """Size of the picture in pixels, turned as it is shown, WIDTHxHEIGHT."""
    has_sound: bool
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel divided by its height, turned as it is shown."""
    frame_rate: Fraction | None = None
    """Frames per second, on average. None: the file does not say."""

    @property
    def kind(self) -> str:
        """Codec, size and streams, which must be the same in videos that are copied into one."""
        pixels = "" if self.pixel_aspect == 1 else f" with pixels of {self.pixel_aspect}"
        return f"{self.codec} {self.size}{pixels}{'' if self.has_sound else ' without sound'}"

    @property
    def even_size(self) -> str:
        """Size in square pixels as it is shown, WIDTH:HEIGHT, in the even numbers that the encoder needs."""
        width, height = map(int, self.size.split("x"))
        return f"{round(width * self.pixel_aspect) // 2 * 2}:{height // 2 * 2}"


def find_ffmpeg() -> str:
    """Return the path of ffmpeg: on PATH, else installed by the extra ``video``.

    Raises:
        UserError: ffmpeg is not installed.
    """
    if found := shutil.which("ffmpeg"):
        return str(Path(found).absolute())
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    raise UserError(
        "expected the tool ffmpeg on PATH to cut videos, found none",
        fix="install ffmpeg, run pip install imageio-ffmpeg, or leave out the videos to write JSON and EDL "
        "only",
    )


def open_video(ffmpeg: str, file: Path) -> Video:
    """Read the duration and the streams of a video.

    Raises:
        UserError: The file does not exist or is not a video.
    """
    if not file.is_file():
        raise UserError("the video does not exist", file=file)
    command = [ffmpeg, "-hide_banner", "-nostdin", "-i", _path(file)]
    # Without an output ffmpeg describes the input and ends with an error of its own.
    output = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stderr
    duration, picture = _DURATION.search(output), _PICTURE.search(output)
    if duration is None or picture is None:
        raise UserError(f"ffmpeg cannot read this file as a video: {_last_line(output)}", file=file)
    hours, minutes, seconds = duration.groups()
    duration_s = 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
    turn = -1 if _TURNED.search(output) else 1
    size = "x".join((picture["width"], picture["height"])[::turn])
    aspect = Fraction(*map(int, (picture["aspect"] or "1:1").split(":")[::turn]))
    has_sound = bool(_SOUND.search(output))
    rate = _RATE.search(output[picture.start() :].partition("\n")[0])
    frame_rate = exact_rate(float(rate[1])) if rate else None
    return Video(file, duration_s, picture["codec"], size, has_sound, aspect, frame_rate)


def exact_rate(stated: float) -> Fraction:
    """Return the frames per second that are written as ``stated``, such as 30000/1001 for 29.97."""
    whole = round(stated)
    television = Fraction(1000 * whole, 1001)
    if stated != whole and whole in _TELEVISION and abs(stated - television) < _ROUNDED:
        return television
    return Fraction(stated).limit_denominator(1000)


def edl_rate(videos: Iterable[Video], typed: float | None) -> Fraction:
    """Return the frames per second that the timecodes of an EDL count.

    Args:
        videos: Videos of the halves.
        typed: Frames per second that were typed. None: those of the videos, else 25.

    Raises:
        UserError: Timecodes cannot count these frames, or the videos have different rates.
    """
    if typed is not None:
        if not _is_counted(exact_rate(typed)):
            raise ConfigError(
                "expected --timecode-rate as a whole number, or as a rate of television such as 29.97, got "
                f"{typed:g}"
            )
        return exact_rate(typed)
    fix = "add --timecode-rate NUMBER, the frames per second of your editing program"
    rates: list[Fraction] = []
    for video in videos:
        if video.frame_rate is None:
            continue
        if not _is_counted(video.frame_rate):
            raise UserError(
                "the video has a variable or unusual frame rate, which timecodes cannot count: "
                f"{float(video.frame_rate):g} frames per second on average",
                file=video.file,
                fix=fix,
            )
        rates.append(video.frame_rate)
    if len(set(rates)) > 1:
        shown = " and ".join(f"{float(rate):.5g}" for rate in rates)
        raise UserError(f"the videos have {shown} frames per second, an EDL has one rate", fix=fix)
    return rates[0] if rates else Fraction(_USUAL_RATE)


def _is_counted(rate: Fraction) -> bool:
    """Whether timecodes can count the frames: a whole number per second, or one of television."""
    return rate.denominator in (1, 1001) and rate <= _HIGHEST_RATE


def check_same_kind(videos: Iterable[Video]) -> None:
    """Check that the streams of the videos can be copied into one file.

    Raises:
        UserError: The videos differ.
    """
    kinds = [video.kind for video in videos]
    if len(set(kinds)) > 1:
        raise UserError(
            f"the videos differ and cannot be copied into one: {' and '.join(kinds)}",
            fix="leave out --copy",
        )


def check_clips(videos: Mapping[int, Video], clips: Sequence[Clip]) -> None:
    """Check that the clips lie within the videos.

    Args:
        videos: Half, from 0 -> its video.
        clips: The clips.

    Raises:
        UserError: A clip lies outside its video or in a half without one.
    """
    for clip in clips:
        if clip.half not in videos:
            raise UserError(
                f"a clip lies in half {clip.half + 1}, whose video was not given",
                fix=f"add --video-{clip.half + 1} FILE"
                if clip.half < MOST_VIDEOS
                else "leave the videos out, and cut with the lists that are written",
            )
        video = videos[clip.half]
        if clip.stop_s > video.duration_s + OVERHANG_S or clip.start_s >= video.duration_s:
            raise UserError(
                f"a clip of half {clip.half + 1} ends {clip.stop_s:g} s after the start of the half, "
                f"its video lasts {video.duration_s:g} s",
                file=video.file,
                fix=f"pass the video of half {clip.half + 1} of this game as --video-{clip.half + 1}",
            )


def write_video(
    ffmpeg: str, videos: Mapping[int, Video], clips: Sequence[Clip], file: Path, *, copy: bool
) -> None:
    """Cut ``clips`` out of the videos of their halves and join them in ``file``, atomically.

    The picture has the size of the first half that has a clip.

    Args:
        ffmpeg: Path of ffmpeg.
        videos: Half, from 0 -> its video, checked.
        clips: At least one clip, in the order in which they are shown.
        file: An mp4 file.
        copy: Copy the streams: much faster, but a clip begins at the key frame before its start. Otherwise
            picture and sound are encoded again and cuts are exact to the frame.

    Raises:
        UserError: ffmpeg fails; its own message is given.
    """
    shown = {half: videos[half] for half in sorted({clip.half for clip in clips})}
    parts = file.parent / PARTS_FOLDER
    shutil.rmtree(parts, ignore_errors=True)  # of a run that was killed
    parts.mkdir()
    try:
        names = []
        for number, clip in enumerate(clips):
            names.append(f"{number:04d}.{'mkv' if copy else 'mov'}")
            cut = _copied if copy else _encoded
            part = parts / names[-1]
            _run([ffmpeg, *cut(shown, clip), str(part.absolute())], shown[clip.half].file)
            _require_whole(ffmpeg, part, clip, shown[clip.half].file)
        listing = parts / "parts.txt"
        listing.write_text("".join(f"file '{name}'\n" for name in names))
        sound = "copy" if copy else "aac"
        joined = (parts / file.name).absolute()
        options = [
            "-f",
            "concat",
            "-i",
            listing.name,
            "-c",
            "copy",
            "-c:a",
            sound,
            "-movflags",
            "+faststart",
        ]
        # In the folder of the parts: ffmpeg takes a ? in the path of a list for the end of that path.
        _run([ffmpeg, *options, "-fflags", "+bitexact", str(joined)], file, folder=parts)
        joined.replace(file)
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def _require_whole(ffmpeg: str, part: Path, clip: Clip, source: Path) -> None:
    """Check that a clip was cut out whole: of a video that is cut off, ffmpeg writes what is there.

    Raises:
        UserError: It is shorter than it should be.
    """
    wanted_s = clip.stop_s - clip.start_s
    try:
        found_s = open_video(ffmpeg, part).duration_s
    except UserError:  # without a single picture
        found_s = 0.0
    if found_s < wanted_s - OVERHANG_S:
        raise UserError(
            f"the video ends early: expected {wanted_s:g} s from {clip.start_s:g} s on, got {found_s:g} s",
            file=source,
            fix="give the complete file, or leave the videos out",
        )


def _span(videos: Mapping[int, Video], clip: Clip) -> list[str]:
    video = videos[clip.half]
    span = ["-ss", f"{clip.start_s:.3f}", "-i", _path(video.file)]
    sound = ["-map", "0:a:0?"]
    if not video.has_sound and any(other.has_sound for other in videos.values()):
        # All parts of a film have the streams of its first one.
        span += ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
        sound = ["-map", "1:a:0", "-shortest"]
    return [*span, "-t", f"{clip.stop_s - clip.start_s:.3f}", "-map", "0:v:0", *sound]


def _copied(videos: Mapping[int, Video], clip: Clip) -> list[str]:
    return [*_span(videos, clip), "-c", "copy", "-avoid_negative_ts", "make_zero"]


def _encoded(videos: Mapping[int, Video], clip: Clip) -> list[str]:
    """Return options for a clip that joins with any other: common size and clock, uncompressed sound.

    AAC starts with silence, which would be heard at every cut.
    """
    size = next(iter(videos.values())).even_size
    fitted = (
        f"scale=round(iw*sar):ih,scale={size}:force_original_aspect_ratio=decrease,"
        f"pad={size}:(ow-iw)/2:(oh-ih)/2,setsar=1"
    )
    picture = ["-vf", fitted, "-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    sound = ["-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2"]
    return [*_span(videos, clip), *picture, "-pix_fmt", "yuv420p", "-video_track_timescale", "90000", *sound]


def _run(command: list[str], file: Path, *, folder: Path | None = None) -> None:
    quiet = [command[0], "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *command[1:]]
    done = subprocess.run(quiet, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise UserError(f"ffmpeg failed: {_last_line(done.stderr)}", file=file)


def _path(file: Path) -> str:
    """Return a path for ffmpeg, which would take ``a:b`` for a protocol and ``-x`` for an option."""
    return f"file:{file.absolute()}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
