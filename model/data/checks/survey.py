"""Findings on the games of a data set, each fault once: problems that stop, and notices that are told."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from model.data.checks.absence import absence_problems
from model.data.checks.inspection import Game
from model.data.labels.clocks import ClockFault, clock_faults, contradict, disagrees, match_clock_faults
from model.data.layout.description import (
    DESCRIPTION_FILE,
    LABELS,
    DatasetDescription,
    builtin_description,
    soccernet_games,
)
from model.data.layout.feature_file import transposed, width_mismatches
from model.data.layout.rates import HalfLength, RateDoubt, far_longer, rate_doubt
from model.errors import Problem
from model.wording import counted


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings on games with the features of one stem."""

    problems: tuple[Problem, ...]
    """Faults that make the data unusable."""
    doubts: tuple[Problem, ...]
    """Probable faults of data that can be used; the data check reports them as problems."""
    notices: tuple[str, ...] = ()
    """Lines about the data that are no faults."""

    @property
    def told(self) -> tuple[str, ...]:
        """Doubts and notices as lines, for a user who trains on the data."""
        return (*map(str, self.doubts), *self.notices)


@dataclass(slots=True)
class Survey:
    """Games of one data set that were inspected for the features of one stem."""

    root: Path
    description: DatasetDescription
    stem: str
    games: dict[str, list[Game]] = field(default_factory=lambda: defaultdict(list))
    """Split -> its games."""

    def add(self, split: str, game: Game) -> None:
        """Add a game."""
        self.games[split].append(game)

    def findings(self) -> Findings:
        """Return everything that is wrong or worth knowing, without faults that follow from others."""
        games = [game for listed in self.games.values() for game in listed]
        doubt, longer = self._rate_findings(games)
        late = [problem for game in games for problem in game.late]
        started = match_clock_faults((game.labels, game.on_match_clock) for game in games)
        problems = [
            *absence_problems(self.root, self.description, self.stem, self.games),
            *(problem for game in games for problem in game.problems),
            *width_mismatches([half for game in games for half in game.halves.values()]),
            *(() if doubt is not None and doubt.ends_early else late),
            *map(_problem, started),
        ]
        doubts: list[Problem] = []
        if doubt is not None:
            is_sure = doubt.ends_early or (self._assumes_rate and not doubt.is_weak)
            turned = self._transposed(games) if doubt.ends_early else None
            if turned not in problems:  # different widths have told it already
                (problems if is_sure else doubts).append(turned or self._rate_problem(doubt))
        labels = [game.labels for game in games]
        clocks = map(_problem, clock_faults(labels))
        contradicting = contradict(labels) or any(game.late_by_clock for game in games)
        (problems if contradicting else doubts).extend(clocks)
        notices = [*([longer] if longer else []), *self._notices(games)]
        return Findings(tuple(problems), tuple(doubts), tuple(notices))

    @property
    def _assumes_rate(self) -> bool:
        return self.description.assumes_rate(self.stem)

    def _rate_findings(self, games: Sequence[Game]) -> tuple[RateDoubt | None, str | None]:
        """Return the doubt of the rate of all halves, else what is odd about single ones."""
        lengths = [length for game in games for length in _lengths(game)]
        rate = self.description.rate_of(self.stem)
        doubt = rate_doubt(lengths, rate)
        if doubt is not None and doubt.is_weak and not self._assumes_rate:
            doubt = None  # whoever declares a rate knows more than the ends of the halves say
        return doubt, far_longer(lengths, rate) if doubt is None else None

    def _transposed(self, games: Sequence[Game]) -> Problem | None:
        """Return the problem of arrays whose columns, but not their rows, fit the times of the actions."""
        halves = [half for game in games for half in game.halves.values()]
        if len({half.frames for half in halves}) > 1:
            return None
        lengths = [length for game in games for length in _lengths(game)]
        turned = [replace(each, frames=half.dims) for each, half in zip(lengths, halves, strict=True)]
        doubt = rate_doubt(turned, self.description.rate_of(self.stem))
        return transposed(halves) if doubt is None else None

    def _rate_problem(self, doubt: RateDoubt) -> Problem:
        file, feature = self.root / DESCRIPTION_FILE, f'NAME = {{ stem = "{self.stem}", frame_rate = ... }}'
        how = f"set {feature} under [features] in {DESCRIPTION_FILE}"
        if not file.is_file():
            how += f' with the line labels = "{self.description.labels_version}" above'
        source = " (assumed, nothing declares it)" if self._assumes_rate else ""
        return Problem(str(file), f"frame rate of {self.stem}", f"{doubt.text}{source}; {how}")

    def _notices(self, games: Sequence[Game]) -> list[str]:
        notices = [twins_notice(twins)] if (twins := sum(game.twins for game in games)) else []
        if clipped := sum(game.clipped for game in games):
            lie, count = ("action lies", "counts") if clipped == 1 else ("actions lie", "count")
            notices.append(f"{clipped} {lie} after the last frame and {count} as on the last frame")
        if outside := sum(game.outside_parts for game in games):
            notices.append(
                f"{outside} actions are in halves beyond the {self.description.parts} that "
                f"{DESCRIPTION_FILE} declares, and are left out"
            )
        parts = Counter(game.parts for game in games if game.halves)
        if len(parts) > 1:
            (usual, _), *others = parts.most_common()
            odd = sum(count for _, count in others)
            first = next(game for game in games if game.halves and game.parts != usual)
            notices.append(
                f"{odd} of {len(games)} games have other halves than {_numbers(usual)}, the first: "
                f"{first.name} ({_numbers(first.parts)})"
            )
        return notices


def twins_notice(twins: int) -> str:
    """Return the notice of actions left out because another one of their class is on the same frame."""
    lie, are = ("lies", "is") if twins == 1 else ("lie", "are")
    return (
        f"{counted(twins, 'action')} {lie} on the same frame as another one of the class, and {are} left out"
    )


def labels_notice(description: DatasetDescription, root: Path | None = None) -> tuple[str, ...]:
    """Return the notice that games have both versions of SoccerNet's labels and nobody chose one.

    Args:
        description: Description of the data.
        root: The data folder. None: its games are not here, and the other version counts as complete.
    """
    other = description.unused_labels
    if other is None:
        return ()
    read = (
        f"games have labels of both versions: {description.labels_file} ({description.labels_version}, "
        f"{len(description.classes)} classes) is read; "
    )
    games = soccernet_games(root) if root is not None else {}
    chosen = description.labels_version or ""
    if lacking := games.get(chosen, frozenset()) - games.get(other, frozenset()):
        file = builtin_description(LABELS[other]).labels_file
        return (
            f"{read}{len(lacking)} of {counted(len(games[chosen]), 'game')} with it have no {file} ({other})",
        )
    return (
        f'{read}for the other choose --labels {other}, or write labels = "{other}" into {DESCRIPTION_FILE}',
    )


def absent_class_notices(actions: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a notice for every split that lacks actions of some classes but not of all.

    Args:
        actions: Split -> class -> number of actions.
    """
    notices = []
    for split, counts in actions.items():
        missing = [name for name, count in counts.items() if not count]
        if missing and len(missing) < len(counts):
            then = "cannot be learnt" if split == "train" else "cannot be scored"
            notices.append(
                f"split {split} has no action of {len(missing)} of {len(counts)} classes, which {then}: "
                f"{', '.join(missing)}"
            )
    return notices


def _problem(fault: ClockFault) -> Problem:
    return Problem(str(fault.path), fault.place, fault.message)


def _lengths(game: Game) -> list[HalfLength]:
    times_s: dict[int, list[float]] = defaultdict(list)
    for action in game.labels.actions:
        if not disagrees(action) and action.half not in game.on_match_clock:
            times_s[action.half].append(action.time_s)
    return [
        HalfLength(
            name=f"{game.name}, half {number}",
            number=number,
            frames=half.frames,
            actions=len(times_s[number]),
            last_action_s=max(times_s[number], default=None),
            is_whole_game=len(game.halves) == 1,
        )
        for number, half in game.halves.items()
    ]


def _numbers(halves: tuple[int, ...]) -> str:
    return ", ".join(map(str, halves))
