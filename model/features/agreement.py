"""Check whether feature files are as long as their videos."""

from collections.abc import Sequence
from pathlib import Path

from model.data.layout.description import DESCRIPTION_FILE, DatasetDescription
from model.data.layout.feature_file import find_header
from model.data.layout.game_files import features_file, stems_in
from model.errors import DataError, Problem
from model.features.decoding import Video, clock
from model.features.games import GameVideo

_TOLERANCE_S = 2.0


def compare_with_videos(
    root: Path, description: DatasetDescription, games: Sequence[GameVideo], *, stem: str | None
) -> tuple[list[str], list[Problem]]:
    """Compare lengths of feature files with their videos.

    Args:
        root: The data folder.
        description: Its description, which says the rates.
        games: Videos of games in the folder.
        stem: Stem of the features to compare. None: all that a game has.

    Returns:
        A line for every file that agrees with its video, and a problem for every other.
    """
    lines: list[str] = []
    problems: list[Problem] = []
    for game in games:
        try:
            with Video(game.video) as video:
                stated, frame_rate = video.stated_s, float(video.frame_rate)
        except DataError as error:
            problems.append(Problem(str(game.video), "", error.message))
            continue
        if not stated:
            problems.append(Problem(str(game.video), "", "the file does not say how long it is"))
            continue
        about = f"video of {clock(float(stated))} at {frame_rate:.5g} frames per second"
        stems = [stem] if stem is not None else stems_in(root / game.game)
        if not stems:
            problems.append(Problem(str(root / game.game), "", f"no features beside the {about}"))
        for each in stems:
            file = features_file(root, game.game, half=game.part, stem=each)
            rate = description.rate_of(each).per_second
            fault, seconds = _fault(file, rate, float(stated))
            if fault:
                problems.append(Problem(str(file), "", f"{fault}, beside a {about}"))
            else:
                lines.append(f"{file.relative_to(root)}: {clock(seconds)} at {rate:g} per second, {about}")
    return lines, problems


def _fault(file: Path, rate: float, stated_s: float) -> tuple[str, float]:
    """Return what is wrong with a file, or "", and its duration in seconds."""
    header = find_header(file)
    if header is None:
        return "missing", 0.0
    if isinstance(header, Problem):
        return header.message, 0.0
    seconds = header.frames / rate
    # The last frame stands for all that is left of the video.
    if abs(seconds - stated_s) <= max(_TOLERANCE_S, 1 / rate):
        return "", seconds
    fitting = header.frames / stated_s
    return (
        f"{header.frames} frames are {clock(seconds)} at {rate:g} per second; {fitting:.3g} per second would "
        f"fit (see frame_rate in {DESCRIPTION_FILE})",
        seconds,
    )
