"""Files of highlights: clips with their reasons (JSON), and a cut list for editing programs (EDL)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from model.files import write_whole
from model.inference.clips import Clip, Moment
from model.timeline import format_game_time
from model.wording import counted

JSON_FILE, EDL_FILE, VIDEO_FILE = "highlights.json", "highlights.edl", "highlights.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlights:
    """The highlights of one game."""

    game: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    settings: dict[str, Any]
    """Settings with which the clips were chosen, which the files contain."""

    @property
    def duration_s(self) -> float:
        """Duration of all clips together, in seconds."""
        return sum(clip.stop_s - clip.start_s for clip in self.clips)


def highlights_line(highlights: Highlights) -> str:
    """Summarise number and duration of the clips in one line."""
    minutes, seconds = divmod(round(highlights.duration_s), 60)
    moments = [moment for clip in highlights.clips for moment in clip.moments]
    spots = sum(moment.kind == "spot" for moment in moments)
    return (
        f"{counted(len(highlights.clips), 'clip')} of {minutes} min {seconds:02d} s in all, "
        f"for {counted(spots, 'spot')} and {counted(len(moments) - spots, 'sequence')}"
    )


def write_cut_lists(highlights: Highlights, folder: Path, *, timecode_rate: Fraction) -> list[Path]:
    """Write the JSON and the EDL file, and delete a video of earlier clips.

    Args:
        highlights: The clips.
        folder: Folder to write to.
        timecode_rate: Frames per second of the videos, for the EDL.
    """
    files = [folder / JSON_FILE, folder / EDL_FILE]
    content = json.dumps(_record(highlights), indent=1).encode()
    if files[0].is_file() and files[0].read_bytes() != content:
        (folder / VIDEO_FILE).unlink(missing_ok=True)
    write_whole(files[0], content)
    write_whole(files[1], _edl(highlights, timecode_rate).encode(errors="backslashreplace"))
    return files


def reasons(clip: Clip, classes: Sequence[str]) -> str:
    """Describe in one line why a clip was chosen."""
    return ", ".join(
        f"{classes[moment.class_index]}{' sequence' if moment.kind == 'sequence' else ''} {moment.score:.2f}"
        for moment in clip.moments
    )


def _record(highlights: Highlights) -> dict[str, Any]:
    return {
        "game": highlights.game,
        "settings": highlights.settings,
        "duration_s": round(highlights.duration_s, 3),
        "clips": [
            {
                **_span(clip),
                "moments": [
                    {
                        "kind": moment.kind,
                        "class": highlights.classes[moment.class_index],
                        "score": round(moment.score, 6),
                        **_span(moment),
                    }
                    for moment in clip.moments
                ],
            }
            for clip in highlights.clips
        ],
    }


def _span(part: Clip | Moment) -> dict[str, Any]:
    return {
        "half": part.half + 1,
        "game_time": format_game_time(part.half + 1, part.start_s),
        "start_s": round(part.start_s, 3),
        "stop_s": round(part.stop_s, 3),
    }


def _edl(highlights: Highlights, rate: Fraction) -> str:
    """Return a CMX3600 list: one event per clip, with picture and sound (B), from reels HALF1 and HALF2."""
    lines = [f"TITLE: {highlights.game.rpartition('/')[2]:.70}", "FCM: NON-DROP FRAME", ""]
    recorded = 0
    for number, clip in enumerate(highlights.clips, start=1):
        start, stop = (int(time_s * rate + 0.5) for time_s in (clip.start_s, clip.stop_s))
        codes = (start, stop, recorded, recorded + stop - start)
        times = " ".join(_timecode(frames, rate) for frames in codes)
        lines += [
            f"{number:03d}  HALF{clip.half + 1:<4}B     C        {times}",
            f"* FROM CLIP NAME: half {clip.half + 1}",
            f"* COMMENT: {reasons(clip, highlights.classes)}",
            "",
        ]
        recorded += stop - start
    return "\n".join(lines)


def _timecode(frames: int, rate: Fraction) -> str:
    """Format the label HH:MM:SS:FF of a frame."""
    # Without dropped numbers, 29.97 frames per second are counted as 30 and fall behind the clock.
    seconds, frame = divmod(frames, math.ceil(rate))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame:02d}"
