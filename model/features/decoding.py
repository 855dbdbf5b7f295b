"""Pictures of a video at a fixed rate, chosen by the timestamps of its frames and never by counting."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from model.errors import DataError
from model.features.extra import imported

_TRUNCATED_S = 2
"""Seconds by which the pictures may end before the length that the file states."""
_LONGEST_GAP_S = Fraction(5)
"""Distance of two frames, in seconds, above which pictures are missing; stills last less."""
_BACKWARDS_S = 1
"""Seconds by which a frame may be out of order; it is not used."""
_SEEK_BACK_S = 2
_LONGEST_S = 86_400
_MOST_READ_ERRORS = 1000
_MOST_BOXES = 1_000_000
_BOXES_OF_PICTURES = (b"moof", b"mdat")


@dataclass(frozen=True, slots=True)
class Gap:
    """Part of a video without usable pictures; the picture before it is used instead."""

    start_s: float
    stop_s: float
    reason: str

    def __str__(self) -> str:
        """Return the place and the reason in one line."""
        return f"{clock(self.start_s)} to {clock(self.stop_s)}: {self.reason}; the picture before is shown"


def clock(time_s: float) -> str:
    """Format a time such as ``7:32.4``."""
    minutes, seconds = divmod(round(10 * time_s), 600)
    return f"{minutes}:{seconds / 10:04.1f}"


class Video:
    """Open video file; time 0 is where players begin to show it.

    A feature of time t shows the frame closest to t if it begins at most half a usual frame after t, else the
    frame that is on screen at t.
    """

    def __init__(self, file: Path, note: Callable[[Gap], None] = lambda gap: None) -> None:
        """Open ``file``.

        Args:
            file: The video.
            note: Called with every gap as it is found.

        Raises:
            DataError: The file is not a video.
        """
        av = imported("av")
        self.file = file
        self._note = note
        self._errors = av.error.FFmpegError
        if not file.is_file():
            raise DataError("the video does not exist", file=file)
        try:
            self._container = av.open(str(file.absolute()))
        except self._errors as error:
            raise DataError(
                f"this file cannot be opened as a video: {error.strerror}",
                file=file,
                fix="give a complete video file; a recording that was cut off may lack its index",
            ) from error
        self._check_boxes()
        self._stream = self._only_stream()
        self._stream.thread_type = "AUTO"
        self.frame_rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        """Usual number of frames per second."""
        self._usual = 1 / self.frame_rate
        self._start = Fraction(self._container.start_time or 0, 1_000_000)

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a pixel divided by its height; None if the file does not say."""
        aspect = self._stream.sample_aspect_ratio
        return Fraction(aspect) if aspect else None

    @property
    def stated_s(self) -> Fraction | None:
        """Time at which the pictures end according to the file; None if it does not say."""
        stream = self._stream
        # FFmpeg shortens the duration of an AVI that is cut off, but not its number of frames.
        length = (stream.frames if self._container.format.name == "avi" else None) or stream.duration
        if length is not None:
            return Fraction(((stream.start_time or 0) + length) * stream.time_base) - self._start
        if self._container.format.name == "flv" and self._container.duration:
            return Fraction(self._container.duration, 1_000_000) - self._start
        hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            # Matroska states the last timestamp.
            return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds) - self._start
        except ValueError:
            return None

    def frames_at(self, per_second: float, *, first: int = 0) -> Iterator[Any]:
        """Yield the frame of every feature ``first``, ``first`` + 1, ... until the video ends.

        Args:
            per_second: Features per second.
            first: Number of the first feature; decoding begins shortly before it.

        Raises:
            DataError: The file has no usable picture, or its pictures end before the length that it states.
        """
        step = 1 / Fraction(str(per_second))
        half = min(self._usual, step) / 2
        index, shown, shown_at, end = first, None, Fraction(0), Fraction(0)
        for time, frame in self._ordered(first * step):
            if shown is None:
                if first and time > first * step:
                    raise SeekMissedError
            else:
                change = max(time - half, (shown_at + time) / 2)
                while index * step < change:
                    yield shown
                    index += 1
            shown, shown_at, end = frame, time, time + _duration(frame, self._usual)
        if shown is None:
            if first:  # decoding may have begun after the last picture from which it can
                raise SeekMissedError
            raise DataError("no picture of this video can be decoded", file=self.file)
        self._check_end(end)
        while index * step < end:
            yield shown
            index += 1

    def _ordered(self, from_s: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """Yield time and frame in the order of time, and note gaps."""
        before: Fraction | None = None if from_s else -self._usual
        reason = ""
        for time, frame, fault in self._decoded(from_s):
            if fault:
                reason = fault
                continue
            if before is not None and time <= before:
                self._check_backwards(before, time)
                continue
            if before is not None:
                apart = time - before
                if apart > _LONGEST_GAP_S or (reason and 2 * apart > 3 * self._usual):
                    self._note(Gap(float(before + self._usual), float(time), reason or "it has no pictures"))
            before, reason = time, ""
            yield time, frame
        if reason and before is not None and before >= 0:
            stop = max(before + self._usual, self.stated_s or Fraction(0))
            self._note(Gap(float(before + self._usual), float(stop), reason))

    def _decoded(self, from_s: Fraction) -> Iterator[tuple[Fraction, Any, str]]:
        """Yield time, frame and "", or the reason why a frame cannot be used."""
        for packet in self._packets(from_s):
            try:
                frames = [] if packet is None else packet.decode()
            except self._errors:
                packet, frames = None, []
            if packet is None:
                yield Fraction(0), None, "it cannot be decoded"
            for frame in frames:
                yield self._time(frame), frame, "its pictures are damaged" if frame.is_corrupt else ""

    def _time(self, frame: Any) -> Fraction:
        if frame.pts is None:
            raise DataError(
                "the pictures of this video have no timestamps",
                file=self.file,
                fix="write them with timestamps: ffmpeg -i FILE -c copy OTHER.mp4",
            )
        time = Fraction(frame.pts * frame.time_base) - self._start
        if time > _LONGEST_S:
            raise DataError(
                f"a picture has the time {float(time):,.0f} s, expected at most a day",
                file=self.file,
                fix="write the video anew: ffmpeg -i FILE OTHER.mp4",
            )
        return time

    def _packets(self, from_s: Fraction) -> Iterator[Any]:
        """Yield the packets from shortly before ``from_s`` on; None for one that cannot be read."""
        if from_s > _SEEK_BACK_S:
            target = (from_s - _SEEK_BACK_S + self._start) / Fraction(self._stream.time_base)
            self._container.seek(int(target), stream=self._stream)
        for _ in range(_MOST_READ_ERRORS):
            try:
                yield from self._container.demux(self._stream)
                return
            except self._errors:
                yield None

    def _check_backwards(self, before: Fraction, time: Fraction) -> None:
        """Accept a frame that is out of order, but not a second recording in the same file."""
        if before - time > _BACKWARDS_S:
            raise DataError(
                f"the timestamps jump back from {clock(float(before))} to {clock(float(time))}, as where one "
                "recording follows another",
                file=self.file,
                fix="give each recording as a part of its own, or join them anew: ffmpeg -i FILE OTHER",
            )

    def _only_stream(self) -> Any:
        """Return the stream of moving pictures; a file with none or with several is refused."""
        # Cover pictures of sound files are streams of one picture.
        streams = [each for each in self._container.streams.video if not _is_cover(each)]
        is_picture = self._container.format.name.endswith("_pipe")  # FFmpeg's name for .jpg, .png and others
        if len(streams) == 1 and not is_picture:
            return streams[0]
        self._container.close()
        if is_picture:
            raise DataError("this file is a picture", file=self.file, fix="give a file with moving pictures")
        if not streams:
            raise DataError(
                "this file has no video stream", file=self.file, fix="give a file with moving pictures"
            )
        raise DataError(
            f"this file has {len(streams)} video streams, expected one",
            file=self.file,
            fix="choose one, such as the first: ffmpeg -i FILE -map 0:v:0 -c copy OTHER.mkv",
        )

    def _check_boxes(self) -> None:
        """Refuse an MP4 that is cut off, which FFmpeg plays to the cut without a word if it is fragmented."""
        missing = _missing_bytes(self.file) if "mp4" in self._container.format.name else 0
        if missing:
            self._container.close()
            raise DataError(
                f"this video is cut off: {missing:,} bytes are missing at its end",
                file=self.file,
                fix="give the whole file; to use what is there: ffmpeg -i FILE -c copy OTHER.mp4",
            )

    def _check_end(self, end: Fraction) -> None:
        stated = self.stated_s
        if stated is not None and end < stated - _TRUNCATED_S:
            raise DataError(
                f"the usable pictures end after {clock(float(end))}, the file states {clock(float(stated))}",
                file=self.file,
                fix="give the whole file; to use what is there: ffmpeg -i FILE -c copy OTHER",
            )


class SeekMissedError(Exception):
    """Decoding began after the wanted frame, or where no more frame can be decoded."""


def frames_from(
    file: Path, per_second: float, *, first: int = 0, note: Callable[[Gap], None] = lambda gap: None
) -> Iterator[Any]:
    """Yield the frame of every feature from ``first`` on; report gaps as they are found.

    Raises:
        DataError: See ``Video``.
    """
    try:
        with Video(file, note) as video:
            yield from video.frames_at(per_second, first=first)
    except SeekMissedError:
        # The container has no usable index, so that decoding begins at its start.
        with Video(file, note) as video:
            yield from itertools.islice(video.frames_at(per_second), first, None)


def _duration(frame: Any, usual: Fraction) -> Fraction:
    return Fraction(frame.duration * frame.time_base) if frame.duration else usual


def _missing_bytes(file: Path) -> int:
    """Return how many bytes of the last box of an MP4 (ISO 14496-12, 4.2) the file lacks."""
    length, start = file.stat().st_size, 0
    with file.open("rb") as opened:
        for _ in range(_MOST_BOXES):
            opened.seek(start)
            head = opened.read(16)
            size, kind = int.from_bytes(head[:4]), head[4:8]
            if size == 1:
                size = int.from_bytes(head[8:])
            if size < 8:  # 0 means to the end of the file
                break
            if start + size > length:
                # Other bytes may follow a whole video.
                return start + size - length if kind in _BOXES_OF_PICTURES else 0
            start += size
    return 0


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(stream.disposition.name)
