"""The two clocks of an annotation, ``position`` and ``gameTime``, where they disagree."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.label_file import Action, LabelFile
from model.timeline import format_game_time

APART_S = 2.0
"""Clocks that differ by more seconds disagree; ``gameTime`` has whole seconds, often rounded down."""
_SAME_SHIFT_S = 2.0


@dataclass(frozen=True, slots=True)
class ClockFault:
    """Annotations whose two clocks disagree in the same way."""

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
