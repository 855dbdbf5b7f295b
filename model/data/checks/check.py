"""Check a complete data set before training starts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.checks.inspection import Game, inspect_game
from model.data.checks.repeats import Repeats
from model.data.checks.survey import Findings, Survey, absent_class_notices, labels_notice
from model.data.layout.description import SPLITS, DatasetDescription, read_description
from model.data.layout.game_files import feature_parts, real_folder
from model.data.layout.split_lists import first_games, read_split
from model.data.layout.unlisted import unlisted_notice
from model.errors import DataError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Content of a data set and all problems found in it."""

    labels: str
    """Name of the data set and of its label files."""
    problems: tuple[Problem, ...]
    notices: tuple[str, ...]
    """Lines about the data that stop nothing."""
    games: dict[str, int]
    """Split -> number of games."""
    actions: dict[str, dict[str, int]]
    """Split -> class -> number of annotated actions."""
    frames: dict[str, int]
    """Split -> number of feature vectors; if several kinds of features were checked, of the first kind."""
    dims: dict[str, int]
    """Stem of the checked features -> length of a feature vector."""
    rates: dict[str, float]
    """Stem of the checked features -> feature vectors per second."""


def check_dataset(
    root: Path,
    *,
    features: str | None,
    labels: str | None = None,
    splits: Sequence[str] = SPLITS,
    counts: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Read a complete data set and report every problem, not only the first.

    Args:
        root: The data folder.
        features: Alias or stem of the features to check; None checks all features that the description
            names and at least one game has.
        labels: Version of SoccerNet's labels, as for ``read_description``.
        splits: The splits to check.
        counts: Number of games to check from the start of each split. None: all.
        progress: Called with (games done, total games).

    Raises:
        DataError: There is no data set in ``root``, or its description is invalid.
    """
    description = read_description(root, labels)
    of_split = dict.fromkeys(splits) if counts is None else dict(zip(splits, counts, strict=True))
    games, problems = _split_lists(root, description, of_split)
    stems = (
        _stems_found(root, description, games) if features is None else [description.feature_stem(features)]
    )
    surveys = {stem: Survey(root, description, stem) for stem in stems}
    repeats = {stem: Repeats(root) for stem in stems}
    values: list[Problem] = []
    total, done = sum(map(len, games.values())), 0
    for split, names in games.items():
        for name in names:
            for survey in surveys.values():
                game = inspect_game(root, name, description, stem=survey.stem)
                survey.add(split, game)
                found = (repeats[survey.stem].problem_of(split, half) for half in game.halves.values())
                values += filter(None, found)
            done += 1
            if progress is not None:
                progress(done, total)
    first = next(iter(surveys.values()))
    findings = [survey.findings() for survey in surveys.values()]
    actions = {split: _actions(first.games[split]) for split in games}
    named = {
        split: {name: counted[index] for index, name in enumerate(description.classes)}
        for split, counted in actions.items()
    }
    return CheckReport(
        labels=f"{description.name}, {description.labels_file}",
        problems=(
            *problems,
            *_once(findings),
            *values,
            *_missing_actions(root, description, first, actions),
        ),
        notices=(
            *labels_notice(description, root),
            *dict.fromkeys(notice for each in findings for notice in each.notices),
            *(notice for each in repeats.values() for notice in each.notices()),
            *absent_class_notices({split: named[split] for split in named if split != "train"}),
            *_unlisted(root, description, stems, {} if counts else games),
        ),
        games={split: len(names) for split, names in games.items()},
        actions=named,
        frames={
            split: sum(half.frames for game in first.games[split] for half in game.halves.values())
            for split in games
        },
        dims={stem: dims for stem, survey in surveys.items() if (dims := _dims(survey))},
        rates={stem: description.rate_of(stem).per_second for stem in stems},
    )


def _once(findings: Sequence[Findings]) -> list[Problem]:
    """Return problems and doubts of all kinds of features; those of the labels are the same for each."""
    return list(dict.fromkeys(problem for each in findings for problem in (*each.problems, *each.doubts)))


def _actions(games: Sequence[Game]) -> Counter[int]:
    return Counter(int(index) for game in games for index in game.actions[:, 2])


def _dims(survey: Survey) -> int | None:
    halves = [half for games in survey.games.values() for game in games for half in game.halves.values()]
    return halves[0].dims if halves else None


def _split_lists(
    root: Path, description: DatasetDescription, counts: Mapping[str, int | None]
) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    games: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    seen: dict[str, tuple[str, str]] = {}
    for split, count in counts.items():
        file = str(root / description.list_of(split))
        try:
            games[split], faults = read_split(root, description, split)
            problems += faults
        except DataError as error:
            games[split] = ()
            problems.append(Problem(file, "", str(error.message)))
        if games[split]:
            games[split], too_few = _first(games[split], split, count, file)
            problems += too_few
        for game in games[split]:
            # A link to a game is that game.
            first, other = seen.setdefault(real_folder(root, game), (split, game))
            if (first, other) != (split, game):
                named = "" if other == game else f" as {other}, the same folder"
                problems.append(Problem(file, game, f"this game is also in split {first!r}{named}"))
    return games, problems


def _first(
    names: tuple[str, ...], split: str, count: int | None, file: str
) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the first games, or all with a problem if there are fewer."""
    try:
        return first_games(names, split, count), []
    except DataError as error:
        return names, [Problem(file, "", f"{error.message}; {error.details['fix']}")]


def _stems_found(root: Path, description: DatasetDescription, games: dict[str, tuple[str, ...]]) -> list[str]:
    stems = dict.fromkeys(description.features.values())
    names = [name for listed in games.values() for name in listed]
    found = [stem for stem in stems if any(feature_parts(root / name, stem) for name in names)]
    return found or list(stems)[:1] or ["FEATURES"]


def _unlisted(
    root: Path, description: DatasetDescription, stems: Sequence[str], games: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the notice of games in no list, if the lists of all splits were read whole."""
    if not all(games.get(split) for split in SPLITS):
        return ()
    return unlisted_notice(root, description, stems, [name for names in games.values() for name in names])


def _missing_actions(
    root: Path, description: DatasetDescription, survey: Survey, actions: dict[str, Counter[int]]
) -> list[Problem]:
    """Return splits without actions, and classes without actions in train, unless labels are unread."""
    problems = []
    for split, counted in actions.items():
        games = survey.games[split]
        file = str(root / description.list_of(split))
        if not games or any(game.labels.hides_classes for game in games):
            continue
        unread = {index for game in games for index in game.labels.unread_classes}
        missing = [
            name
            for index, name in enumerate(description.classes)
            if not counted[index] and index not in unread
        ]
        if len(missing) == len(description.classes):
            use = "nothing can be learnt" if split == "train" else "nothing can be scored"
            problems.append(Problem(file, f"split {split}", f"no action of any class: {use}"))
        elif split == "train":
            problems += [
                Problem(file, f"class {name}", "no action in split 'train' (expected at least one)")
                for name in missing
            ]
    return problems
