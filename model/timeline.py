"""Time in games: frame rates and the game clock of label files."""

import re
from dataclasses import dataclass

from model.errors import ConfigError

NO_PAST = 32767
"""Distance stored where no action of the class has happened yet in the half."""
NO_FUTURE = -32768
"""Distance stored where no action of the class follows in the half."""
FARTHEST = 32766
"""Largest stored distance in frames; larger ones are clipped and stay below ``NO_PAST``."""

MOST_PARTS = 99
"""Largest number of a part (half) of a game."""
PART = "[1-9][0-9]?"
"""Regular expression of the number of a part, from 1 to ``MOST_PARTS``, as files and their names have it."""

_GAME_TIME = re.compile(
    rf"\s*(?P<half>0|{PART})\s*-\s*" + r"(?P<minutes>[0-9]{1,4}):(?P<seconds>[0-5]?[0-9])\s*"
)


@dataclass(frozen=True, slots=True)
class FrameRate:
    """Feature vectors per second of video."""

    per_second: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.per_second < float("inf"):
            raise ConfigError(f"frame rate must be a positive number per second, got {self.per_second}")

    def __str__(self) -> str:
        """Return the rate in words, such as ``2 frames per second``."""
        return f"{self.per_second:g} {'frame' if self.per_second == 1 else 'frames'} per second"

    def to_frames(self, duration_s: float) -> int:
        """Round a duration of ``duration_s`` seconds to the nearest whole number of frames."""
        return round(duration_s * self.per_second)

    def to_seconds(self, duration_frames: float) -> float:
        """Convert a duration of ``duration_frames`` frames to seconds."""
        return duration_frames / self.per_second

    def frame_at(self, time_s: float) -> int:
        """Return the index of the frame shown ``time_s`` seconds after the start of the half."""
        return int(time_s * self.per_second + 1e-9)


def part_number(text: str) -> int:
    """Return the number of a part (half) of a game that a table or a file has as ``text``.

    Raises:
        ValueError: It is none from 1 to ``MOST_PARTS``.
    """
    if not re.fullmatch(PART, text):
        raise ValueError(f"part is {text!r:.60} (expected a number from 1 to {MOST_PARTS})")
    return int(text)


def parse_game_time(text: str) -> tuple[int, float]:
    """Parse a game time: ``"1 - 07:32"`` gives (1, 452.0), the half and seconds after its start.

    Raises:
        ValueError: ``text`` does not have this form.
    """
    match = _GAME_TIME.fullmatch(text)
    if match is None:
        raise ValueError(
            f'expected a game time such as "1 - 07:32", of a half from 1 to {MOST_PARTS}, got {text!r:.60}'
        )
    return int(match["half"]), 60.0 * int(match["minutes"]) + int(match["seconds"])


def format_game_time(half: int, time_s: float) -> str:
    """Format half and seconds as in label files: ``"1 - 07:32"``."""
    minutes, seconds = divmod(int(time_s), 60)
    return f"{half} - {minutes:02d}:{seconds:02d}"


def annotated(half: int, milliseconds: int, label: str) -> dict[str, str]:
    """Return moment and label of an action or a spot as SoccerNet's files hold them; all values are texts."""
    return {
        "gameTime": format_game_time(half, milliseconds / 1000),
        "label": label,
        "position": str(milliseconds),
    }
