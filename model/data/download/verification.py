"""Which files of a game are there, sound, and fit each other."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.data.download.request import DownloadRequest
from model.data.inspection import FeatureFile, first_non_finite, inspect_game
from model.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class GameFiles:
    """The files of one game, looked at one by one and together."""

    missing: tuple[str, ...]
    """Names of the files that are not there."""
    wrong: Mapping[str, tuple[Problem, ...]]
    """Name -> what is wrong with this file, whatever the others hold."""
    contradictions: tuple[Problem, ...]
    """Annotations past the end of the features: any of the files may be the wrong one."""
    halves: tuple[FeatureFile, ...]
    """The readable features."""

    def to_fetch(self, request: DownloadRequest) -> tuple[str, ...]:
        """Names of the files to fetch (again), in the order of ``request.files``; none for a sound game."""
        if self.contradictions:
            return request.files
        return tuple(name for name in request.files if name in self.missing or name in self.wrong)


def verify_game(game: str, request: DownloadRequest) -> GameFiles:
    """Read all files of one game: whether they open, their width, kind and values, whether they fit."""
    folder = request.root / game
    missing = tuple(name for name in request.files if not (folder / name).is_file())
    if len(missing) == len(request.files):
        return GameFiles(missing=missing, wrong={}, contradictions=(), halves=())
    inspected = inspect_game(request.root, game, request.description, stem=request.stem)
    wrong: dict[str, list[Problem]] = defaultdict(list)
    contradictions = []
    for problem in inspected.problems:
        name = Path(problem.file).name
        # Actions come from readable labels only, whose problems are then about the features' length.
        if name in request.label_files and len(inspected.actions):
            contradictions.append(problem)
        elif name not in missing:
            wrong[name].append(problem)
    for half in inspected.halves:
        for problem in filter(None, (_width_problem(half, request.dims), first_non_finite(half))):
            wrong[half.path.name].append(problem)
    return GameFiles(
        missing=missing,
        wrong={name: tuple(problems) for name, problems in wrong.items()},
        contradictions=tuple(contradictions),
        halves=inspected.halves,
    )


def _width_problem(half: FeatureFile, dims: int | None) -> Problem | None:
    if dims is None or half.dims == dims:
        return None
    return Problem(str(half.path), "shape", f"expected {dims} numbers a frame, came {half.dims}")
