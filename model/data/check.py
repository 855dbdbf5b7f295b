"""Check a complete data set before training starts."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.description import SPLITS, DatasetDescription, read_description
from model.data.inspection import FeatureFile, Game, feature_mismatches, first_non_finite, inspect_game
from model.data.soccernet import games_of_split
from model.errors import DataError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Content of a data set and all problems found in it."""

    problems: tuple[Problem, ...]
    games: dict[str, int]
    """Split -> number of games."""
    actions: dict[str, dict[str, int]]
    """Split -> class -> number of annotated actions."""
    frames: dict[str, int]
    """Split -> number of feature vectors; if several kinds of features were checked, of the first kind."""
    dims: dict[str, int]
    """Stem of the checked features -> length of a feature vector."""
    clipped: int
    """Number of actions up to 60 s past the last frame, which count as actions on it."""


def check_dataset(
    root: Path,
    *,
    features: str | None,
    splits: Sequence[str] = SPLITS,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Read a complete data set and report every problem, not only the first.

    Args:
        root: The data folder.
        features: Alias or stem of the features to check; None checks all features that the description
            names and at least one game has.
        splits: The splits to check.
        progress: Called with (games done, total games).

    Raises:
        DataError: There is no data set in ``root``, or its description is invalid.
    """
    description = read_description(root)
    games, problems = _split_lists(root, description, splits)
    stems = (
        _stems_found(root, description, games) if features is None else [description.feature_stem(features)]
    )
    survey = _Survey(root, description, stems)
    total = sum(map(len, games.values()))
    done = 0
    for split, names in games.items():
        for name in names:
            survey.add(split, name)
            done += 1
            if progress is not None:
                progress(done, total)
    return CheckReport(
        problems=tuple(
            problems + survey.all_problems() + _missing_classes(description, games, survey.actions)
        ),
        games={split: len(names) for split, names in games.items()},
        actions={
            split: {name: survey.actions[split, index] for index, name in enumerate(description.classes)}
            for split in games
        },
        frames={split: survey.frames[split] for split in games},
        dims={stem: halves[0].dims for stem, halves in survey.halves.items() if halves},
        clipped=survey.clipped,
    )


class _Survey:
    """Counts and problems of the games looked at so far."""

    def __init__(self, root: Path, description: DatasetDescription, stems: Sequence[str]) -> None:
        self._root = root
        self._description = description
        self._problems: dict[Problem, None] = {}  # in order, the same label problem once for all features
        self.halves: dict[str, list[FeatureFile]] = {stem: [] for stem in stems}
        self.actions: Counter[tuple[str, int]] = Counter()
        self.frames: Counter[str] = Counter()
        self.clipped = 0

    def add(self, split: str, name: str) -> None:
        """Look at one game."""
        for position, stem in enumerate(self.halves):
            game = inspect_game(self._root, name, self._description, stem=stem)
            self._problems.update(dict.fromkeys(game.problems))
            self._problems.update(dict.fromkeys(filter(None, map(first_non_finite, game.halves))))
            self.halves[stem] += game.halves
            if position == 0:
                self._count(split, game)

    def all_problems(self) -> list[Problem]:
        """Problems of the games, and those between them."""
        return [
            *self._problems,
            *(problem for halves in self.halves.values() for problem in feature_mismatches(halves)),
        ]

    def _count(self, split: str, game: Game) -> None:
        self.actions.update((split, int(index)) for index in game.actions[:, 2])
        self.frames[split] += sum(half.frames for half in game.halves)
        self.clipped += game.clipped


def _split_lists(
    root: Path, description: DatasetDescription, splits: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    games: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for split in splits:
        file = str(root / description.splits.get(split, f"{split}.txt"))
        try:
            games[split] = games_of_split(root, description, split)
        except DataError as error:
            games[split] = ()
            problems += error.problems or [Problem(file, "", str(error.message))]
        for game in games[split]:
            if game in seen:
                problems.append(Problem(file, game, f"this game is also in split {seen[game]!r}"))
            seen.setdefault(game, split)
    return games, problems


def _stems_found(root: Path, description: DatasetDescription, games: dict[str, tuple[str, ...]]) -> list[str]:
    stems = dict.fromkeys(description.features.values())
    names = [name for listed in games.values() for name in listed]
    found = [
        stem for stem in stems if any(next((root / name).glob(f"[12]_{stem}.npy"), None) for name in names)
    ]
    return found or list(stems)[:1] or ["FEATURES"]


def _missing_classes(
    description: DatasetDescription,
    games: dict[str, tuple[str, ...]],
    actions: Counter[tuple[str, int]],
) -> list[Problem]:
    if not games.get("train"):
        return []
    list_file = str(description.splits.get("train", "train.txt"))
    return [
        Problem(list_file, f"class {name}", "no action in split 'train' (expected at least one)")
        for index, name in enumerate(description.classes)
        if actions["train", index] == 0
    ]
