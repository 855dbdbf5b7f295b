"""Verify the files of a game: which exist, which are valid, and whether they fit together."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.data.checks.inspection import inspect_game
from model.data.download.request import DownloadRequest
from model.data.layout.feature_file import FeatureFile, unusable_values
from model.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class GameFiles:
    """Result of verifying the files of one game, each alone and all together."""

    missing: tuple[str, ...]
    """Names of the missing files."""
    wrong: Mapping[str, tuple[Problem, ...]]
    """Name -> problems of this file alone."""
    contradictions: tuple[Problem, ...]
    """Annotations past the end of the features; labels or features may be the cause."""
    halves: tuple[FeatureFile, ...]
    """Readable feature files."""

    def to_fetch(self, request: DownloadRequest) -> tuple[str, ...]:
        """Return the names of the files to download (again), in the order of ``request.files``."""
        if self.contradictions:
            return request.files
        return tuple(name for name in request.files if name in self.missing or name in self.wrong)


def verify_game(game: str, request: DownloadRequest) -> GameFiles:
    """Read all files of one game and check their format, dimensions, values and whether they fit together."""
    folder = request.root / game
    missing = tuple(name for name in request.files if not (folder / name).is_file())
    if len(missing) == len(request.files):
        return GameFiles(missing=missing, wrong={}, contradictions=(), halves=())
    inspected = inspect_game(request.root, game, request.description, stem=request.stem)
    wrong: dict[str, list[Problem]] = defaultdict(list)
    for problem in inspected.problems:
        wrong[Path(problem.file).name].append(problem)
    for half in inspected.halves.values():
        for fault in filter(None, (_width_problem(half, request.dims), unusable_values(half))):
            wrong[half.path.name].append(fault)
    return GameFiles(
        missing=missing,
        wrong={name: tuple(problems) for name, problems in wrong.items()},
        contradictions=inspected.late,
        halves=tuple(inspected.halves.values()),
    )


def _width_problem(half: FeatureFile, dims: int | None) -> Problem | None:
    if dims is None or half.dims == dims:
        return None
    return Problem(str(half.path), "shape", f"expected {dims} dimensions per frame, got {half.dims}")
