"""Clocks of annotations: ``position`` and ``gameTime`` that disagree, times since the start of the match."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.labels.label_file import Action, LabelFile
from model.data.layout.rates import LATE_S
from model.timeline import format_game_time

APART_S = 2.0
"""Clocks that differ by more seconds disagree; ``gameTime`` has whole seconds, often rounded down."""
_SAME_SHIFT_S = 2.0
_WHOLE_HALF_S = 45 * 60.0
"""Time on the clock of a match at the end of a half with added time."""


@dataclass(frozen=True, slots=True)
class ClockFault:
    """Annotations whose clocks are wrong in the same way."""

    path: Path
    """Label file of the first one."""
    place: str
    message: str


def shift_s(action: Action) -> float:
    """Return by how much ``position`` is later than ``gameTime``, in seconds; 0 without both."""
    return 0.0 if action.clock_s is None else action.time_s - action.clock_s


def disagrees(action: Action) -> bool:
    """Whether the two clocks of an annotation disagree."""
    return abs(shift_s(action)) > APART_S


def contradict(files: Iterable[LabelFile]) -> bool:
    """Whether the clocks disagree in half of the annotations that have both, or in more."""
    both = [action for labels in files for action in labels.actions if action.clock_s is not None]
    apart = sum(map(disagrees, both))
    return apart > 0 and 2 * apart >= len(both)


def clock_faults(files: Iterable[LabelFile]) -> list[ClockFault]:
    """Return a fault for each half and direction of a whole shift, and one for all other annotations."""
    shifted: dict[tuple[int, bool], list[tuple[LabelFile, Sequence[Action]]]] = defaultdict(list)
    single: list[tuple[LabelFile, Action]] = []
    for labels in files:
        for half, actions in _by_half(labels).items():
            apart = [action for action in actions if disagrees(action)]
            is_whole = len(actions) > 1 and len(apart) == len(actions)
            if is_whole and _is_one_shift(apart) and not all(map(_is_in_seconds, apart)):
                shifted[half, shift_s(apart[0]) > 0].append((labels, apart))
            else:
                single += [(labels, action) for action in apart]
    faults = [_shift_fault(half, cases) for (half, _), cases in sorted(shifted.items())]
    return faults + ([_single_fault(single)] if single else [])


def on_match_clock(actions: Sequence[Action], lengths_s: Mapping[int, float]) -> dict[int, float]:
    """Return the halves whose times seem to count from the start of the match, and their start on its clock.

    All actions of such a half lie after the halves before, and at least half of them past the end of its
    features; none does with that start subtracted.

    Args:
        actions: Actions of one game.
        lengths_s: Number of a half -> length of its features in seconds.
    """
    starts_s: dict[int, float] = {}
    start_s = 0.0
    for expected, (half, length_s) in enumerate(sorted(lengths_s.items()), start=1):
        if half != expected:
            break
        times_s = [action.time_s for action in actions if action.half == half and not disagrees(action)]
        if half > 1 and len(times_s) > 1 and _fit_after(start_s, times_s, length_s):
            starts_s[half] = start_s
        start_s += min(length_s, _WHOLE_HALF_S)
    return starts_s


def _fit_after(start_s: float, times_s: Sequence[float], length_s: float) -> bool:
    """Whether the times of a half fit its length after ``start_s``, and half of them do not fit without."""
    past_end = sum(time_s > length_s for time_s in times_s)
    fit = start_s <= min(times_s) and max(times_s) <= start_s + length_s + LATE_S
    return fit and 2 * past_end >= len(times_s)


def match_clock_faults(games: Iterable[tuple[LabelFile, Mapping[int, float]]]) -> list[ClockFault]:
    """Return a fault for each half of which games have times since the start of the match.

    Args:
        games: Labels of every game, with what ``on_match_clock`` found in them.
    """
    cases: dict[int, list[tuple[LabelFile, float]]] = defaultdict(list)
    for labels, starts_s in games:
        for half, start_s in starts_s.items():
            cases[half].append((labels, start_s))
    return [_match_clock_fault(half, found) for half, found in sorted(cases.items())]


def _match_clock_fault(half: int, cases: Sequence[tuple[LabelFile, float]]) -> ClockFault:
    labels = cases[0][0]
    actions = [action for each, _ in cases for action in each.actions if action.half == half]
    files = f"{len(cases)} label files" if len(cases) > 1 else "1 label file"
    shown = " to ".join(dict.fromkeys(_minutes(pick(start_s for _, start_s in cases)) for pick in (min, max)))
    message = (
        f"all {len(actions)} actions of half {half} ({files}, the first: "
        f'"{format_game_time(half, actions[0].time_s)}") lie after the halves before: their times seem to '
        f"count from the start of the match; subtract {shown}"
    )
    return ClockFault(labels.path, f"annotation {actions[0].annotation}", message)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _by_half(labels: LabelFile) -> dict[int, list[Action]]:
    halves: dict[int, list[Action]] = defaultdict(list)
    for action in labels.actions:
        if action.clock_s is not None:
            halves[action.half].append(action)
    return halves


def _is_one_shift(actions: Sequence[Action]) -> bool:
    shifts = [shift_s(action) for action in actions]
    return max(shifts) - min(shifts) <= _SAME_SHIFT_S


def _shift_fault(half: int, cases: Sequence[tuple[LabelFile, Sequence[Action]]]) -> ClockFault:
    labels, actions = cases[0]
    first_s, is_later = round(shift_s(actions[0])), shift_s(actions[0]) > 0
    shifts = sorted({abs(round(shift_s(actions[0]))) for _, actions in cases})
    by = f"{shifts[0]} s" if len(shifts) == 1 else f"{shifts[0]} to {shifts[-1]} s"
    count = sum(len(actions) for _, actions in cases)
    files = f"{len(cases)} label files" if len(cases) > 1 else "1 label file"
    order = "later" if is_later else "earlier"
    message = (
        f'"position" is {by} {order} than "gameTime" in all {count} actions of half {half} '
        f"({files}, the first: {_both_clocks(actions[0])}); "
    )
    if is_later:
        message += (
            f"it seems to count from the start of the match: subtract {1000 * first_s} ms here, "
            'or delete "position" so that "gameTime" counts'
        )
    else:
        message += f'add {-1000 * first_s} ms here, or delete "position" so that "gameTime" counts'
    return ClockFault(labels.path, f"annotation {actions[0].annotation}", message)


def _single_fault(cases: Sequence[tuple[LabelFile, Action]]) -> ClockFault:
    labels, action = cases[0]
    shown = "; ".join(
        f"{labels.path.parent.name}, annotation {action.annotation}: {_both_clocks(action)}"
        for labels, action in cases[:3]
    )
    fix = 'correct one of the two, or delete "position" so that "gameTime" counts'
    if all(_is_in_seconds(action) for _, action in cases):
        fix = '"position" is in seconds: multiply it by 1000'
    message = (
        f'"position" and "gameTime" are more than {APART_S:g} s apart in {len(cases)} annotations '
        f"(the first: {shown}); {fix}"
    )
    return ClockFault(labels.path, f"annotation {action.annotation}", message)


def _is_in_seconds(action: Action) -> bool:
    """Whether ``position``, read as seconds and not as milliseconds, agrees with ``gameTime``."""
    return action.clock_s is not None and abs(1000 * action.time_s - action.clock_s) <= APART_S


def _both_clocks(action: Action) -> str:
    clock = format_game_time(action.half, action.clock_s or 0.0)
    return f'gameTime "{clock}", position {round(1000 * action.time_s)}'
