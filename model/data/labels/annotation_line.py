"""One annotation as a file has it, before anything is checked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationLine:
    """Content of one annotation, or of a part of a game without any."""

    place: str
    """Place in the file, such as a line."""
    game: str
    part: str
    time: str | float = ""
    """Text as it is written, or seconds where the file has a number in another unit."""
    label: str = ""
    fault: str = ""
    """Reason why it cannot be used, beside those that its texts give."""
    video: str = ""
    """Path of the video that gives the game its name; empty if the file names games."""
    is_empty: bool = False
    """Whether the file says that nothing happens in this part of the game."""
