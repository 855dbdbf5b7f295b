"""Annotations of many videos in one JSON file, as tools of the field write them.

OSL JSON of OpenSportsLab has samples under ``data`` (version 2) or ``videos`` (version 1), each with paths
and ``events`` or ``annotations``, whose positions are milliseconds
(https://opensportslab.github.io/opensportslib/data/osl-json-format/). A file of E2E-Spot (Hong et al., ECCV
2022) is a list of videos, each with ``video``, ``fps``, and ``events`` with frames.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from model.data.labels.annotation_line import AnnotationLine
from model.data.labels.clocks import APART_S
from model.data.layout.rates import LATE_S
from model.documents import is_number, parse_json
from model.timeline import PART, parse_game_time

_MEDIA = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".mpg", ".mpeg", ".ts", ".m4v", ".npy", ".parquet")
"""Endings that are not part of the name of a game; a name without one of them may have dots."""
_PART_OF_GAME = re.compile(rf"({PART})_.*")
_PART_ALONE = re.compile(rf"(?:half)?({PART})")
"""Name of a half in E2E-Spot's lists of SoccerNet, ``league/season/game/1``."""
_FOLDERS_OF_A_GAME = 3
_OF_PREDICTIONS = ("score", "confidence", "confidence_score")
"""Keys of predicted events of E2E-Spot and OpenSportsLab, whose annotation tool deletes the last one when a
person confirms the event."""
_PATHLESS = "it has no path (expected the text 'video', 'path_video', or 'inputs' with a 'path')"


def json_lines(
    text: str, game: str, part: str, *, frame_rate: float | None = None
) -> Iterator[AnnotationLine]:
    """Yield the annotations of such a file; its videos name their games in place of ``game`` and ``part``.

    A video ``league/season/game/2_224p.mkv`` or ``league/season/game/2``, in three folders or more, is part 2
    of the game of its folder. Any other, such as ``clips/2_serve.mp4``, is the only part of a game with the
    name of its file, without folders and ending, as ``games_of_files`` names it. Frames of a
    video without ``fps``, such as FineDiving's with -1, have ``frame_rate`` a second.

    Raises:
        ValueError: The file is of neither kind, or a video has frames and nothing says their rate.
    """
    paths: dict[tuple[str, str], str] = {}
    videos = _videos(parse_json(text))
    # OpenSportsLab's annotation tool writes no list for a video without events.
    otherwise: list[Any] | None = [] if any(_events(video) for video in videos) else None
    for number, video in enumerate(videos, start=1):
        own_paths = _paths(video)
        if not own_paths:
            yield AnnotationLine(place=f"video {number}", game="", part="", fault=_PATHLESS)
            continue
        path = own_paths[0]
        own = _game_and_part(path)
        place, (name, own_part) = f"video {path!r:.120}", own
        if fault := _paths_fault(own_paths, paths.get(own, "")):
            yield AnnotationLine(place=place, game=name, part=own_part, fault=fault)
            continue
        paths[own] = path
        rate = _rate(video, path, frame_rate)
        for line in _lines(video, place, *own, rate, otherwise):
            yield replace(line, video=path)


def _videos(document: Any) -> list[Any]:
    videos = document
    if isinstance(document, dict):
        videos = document.get("data", document.get("videos"))
        if "annotations" in document and videos is None:
            raise ValueError("it is a label file as it should be: put it into the folder of its game")
    if not isinstance(videos, list) or not videos:
        raise ValueError(
            "expected OSL JSON (an object with a list 'data') or a list of videos, as E2E-Spot has"
        )
    return videos


def _paths(video: Any) -> list[str]:
    """Return the paths of a video, of which the first names its game; several inputs may be views of it."""
    if not isinstance(video, dict):
        return []
    inputs = video.get("inputs")
    views = inputs if isinstance(inputs, list) else []
    of_views = [view.get("path") for view in views if isinstance(view, dict)]
    paths = [video.get("video"), *of_views, video.get("path_video"), video.get("path_features")]
    return [path for path in paths if isinstance(path, str) and path.strip()]


def _paths_fault(paths: Sequence[str], before: str) -> str:
    """Return the reason why the paths of a video name no part of its own, or an empty text.

    Args:
        paths: Paths of the video.
        before: Path of an earlier video of the same part; empty if there is none.
    """
    game, part = _game_and_part(paths[0])
    if before:
        return f"it would be part {part} of game {game!r:.80}, as {before!r:.120} is"
    for path in paths:
        other, number = _game_and_part(path)
        if other == game and number != part:
            return (
                f"its paths are those of the parts {part} and {number} of a game, so that nothing says the "
                "part of an event (expected a video for each part)"
            )
    return ""


def _game_and_part(path: str) -> tuple[str, str]:
    """Return the game of a video and its part."""
    file = PurePosixPath(path.strip().replace("\\", "/"))
    name = file.stem if file.suffix.lower() in _MEDIA else file.name
    if len(file.parts) <= _FOLDERS_OF_A_GAME:
        return name, "1"
    match = _PART_OF_GAME.fullmatch(name) or _PART_ALONE.fullmatch(name)
    return (str(file.parent), match[1]) if match else (name, "1")


def _rate(video: dict[str, Any], path: str, otherwise: float | None) -> float:
    """Return the frames per second of a video; infinite if none of its events needs them.

    Raises:
        ValueError: Nothing says them.
    """
    fps = video.get("fps")
    if _is_positive(fps):
        return float(fps)
    if otherwise is None and any(map(_needs_rate, _events(video) or [])):
        raise ValueError(
            f"video {path!r:.120} has events at frames and fps {fps!r:.20} (expected a number above 0), so "
            "that they have no time; give its frames per second with --frame-rate NUMBER"
        )
    return math.inf if otherwise is None else otherwise


def _is_positive(value: object) -> TypeGuard[float]:
    return is_number(value) and 0 < value < math.inf


def _needs_rate(event: Any) -> bool:
    return isinstance(event, dict) and "frame" in event and not {"position_ms", "position"} & {*event}


def _events(video: Any, otherwise: list[Any] | None = None) -> list[Any] | None:
    """Return the events of a video, ``otherwise`` if it has no such key, or None if they are no list."""
    if not isinstance(video, dict):
        return None
    events = video.get("events", video.get("annotations", otherwise))
    return events if isinstance(events, list) else None


def _lines(
    video: dict[str, Any], place: str, game: str, part: str, rate: float, otherwise: list[Any] | None
) -> Iterator[AnnotationLine]:
    events = _events(video, otherwise)
    if events is None:
        fault = "it has no list 'events' or 'annotations'"
        yield AnnotationLine(place=place, game=game, part=part, fault=fault)
        return
    if not events:
        yield AnnotationLine(place=place, game=game, part=part, is_empty=True)
    for number, event in enumerate(events, start=1):
        where = f"{place}, event {number}"
        try:
            time_s, label = _time_and_label(event, rate)
            _check_game_time(event.get("gameTime"), time_s, part)
            _check_end(time_s, video.get("num_frames"), rate)
        except ValueError as error:
            yield AnnotationLine(place=where, game=game, part=part, fault=str(error))
            continue
        yield AnnotationLine(place=where, game=game, part=part, time=time_s, label=label)


def _time_and_label(event: Any, rate: float) -> tuple[float, str]:
    """Return the seconds from the start of a video to an event, and its label.

    Raises:
        ValueError: It lacks one of them, or is a prediction.
    """
    if not isinstance(event, dict):
        raise ValueError(f"expected an object, got {event!r:.60}")
    if certainty := next((key for key in _OF_PREDICTIONS if event.get(key) is not None), None):
        raise ValueError(
            f"it has the key '{certainty}' of predictions (expected an annotation; if a person confirmed it, "
            "delete the key)"
        )
    time_s, label = _seconds(event, rate), event.get("label")
    if label is None:
        raise ValueError("it has no label (expected the text 'label')")
    if not isinstance(label, str):
        raise ValueError(f"label is {label!r:.60} (expected a text)")
    return time_s, label


def _check_game_time(game_time: object, time_s: float, part: str) -> None:
    """Check the game time of an event, if it has one, against its video and its time.

    Raises:
        ValueError: They contradict each other.
    """
    if game_time is None:
        return
    half, clock_s = parse_game_time(str(game_time))
    if str(half) != part:
        raise ValueError(
            f"gameTime is {game_time!r:.60}, but its video is part {part} of the game by its path (expected "
            f"such as league/season/game/{half}_224p.mkv; if the path is right, delete 'gameTime')"
        )
    if abs(time_s - clock_s) > APART_S:
        raise ValueError(
            f"it is at {time_s:g} s of the video, but gameTime is {game_time!r:.60} (expected at most "
            f"{APART_S:g} s apart); correct one of the two (positions are milliseconds), or delete 'gameTime'"
        )


def _check_end(time_s: float, frames: object, rate: float) -> None:
    """Check the time of an event against the length of its video, if the file says it.

    Raises:
        ValueError: The event is long past the end. As in label files, a little past it is allowed: videos
            are cut, and E2E-Spot itself passes over such events.
    """
    if not _is_positive(frames) or math.isinf(rate):
        return
    past_s = time_s - frames / rate
    if past_s > LATE_S:
        raise ValueError(
            f"it is at {time_s:g} s, which is {past_s:.0f} s past the end of the video, of {frames:g} frames "
            f"('num_frames') at {rate:g} per second (expected at most {LATE_S:.0f} s)"
        )


def _seconds(event: dict[str, Any], rate: float) -> float:
    """Return the seconds from the start of a video to an event.

    Raises:
        ValueError: The event has no time.
    """
    for key in ("position_ms", "position"):
        if key in event:
            return _number(event[key], key) / 1000
    if "frame" in event:
        return _number(event["frame"], "frame") / rate
    raise ValueError("it has no time (expected 'position_ms', or 'position' in milliseconds, or 'frame')")


def _number(value: object, name: str) -> float:
    """Return a number of 0 or more; SoccerNet's files have positions as texts.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        return float(value)
    if is_number(value) and value >= 0:
        return float(value)
    raise ValueError(f"{name} is {value!r:.60} (expected a number from 0)")
