"""Slicing parameters as hyperparameters of a trial, and their grids."""

import difflib
import itertools
from collections.abc import Mapping, Sequence

from hpo.space.space import Parameters
from hpo.tasks.calf.stages import ClassGrid
from hpo.tasks.calf.study_file import CalfStudy
from model.errors import ConfigError
from model.timeline import FARTHEST, FrameRate

ZoneFrames = tuple[float, float, float, float]
"""Slicing parameters K1 < K2 < 0 < K3 < K4 in frames; those of a grid are whole numbers."""


def zone_parameters(name: str, zones: ZoneFrames) -> Parameters:
    """Convert the zones of class ``name`` into hyperparameters such as ``K1_frames.goal``."""
    return {f"K{number}_frames.{name}": value for number, value in enumerate(zones, start=1)}


def zones_of(parameters: Mapping[str, object], name: str) -> ZoneFrames:
    """Return the zones of class ``name`` from ``parameters``, which must contain all four."""
    k1, k2, k3, k4 = (float(str(parameters[f"K{number}_frames.{name}"])) for number in (1, 2, 3, 4))
    return k1, k2, k3, k4


def zone_notices(study: CalfStudy, classes: Sequence[str]) -> list[str]:
    """Return a notice for the zones of classes that the data do not have.

    The paper's own zones, which are the default, are not mentioned.

    Raises:
        ConfigError: The name of such a class is almost that of a class without zones of its own.
    """
    tables = {"zones_s": set(study.zones_s), "stages.grid-slicing.grid": set(study.stages.grid_slicing.grid)}
    if study.zones_s == CalfStudy.model_fields["zones_s"].default:
        del tables["zones_s"]
    notices = []
    for table, named in tables.items():
        unknown = sorted(named - {"default"} - set(classes))
        for name in unknown:
            for close in difflib.get_close_matches(name, set(classes) - named, n=1, cutoff=0.75):
                raise ConfigError(
                    f"the data has no class {name!r}",
                    key=f"{table}.{name}",
                    fix=f"did you mean {close!r}? Rename it in the study file, or the class in dataset.toml",
                )
        if unknown:
            notices.append(f"{table} names classes that the data does not have: {', '.join(unknown)}")
    return notices


def inherited_zones(study: CalfStudy, classes: Sequence[str]) -> tuple[str, ...]:
    """Return a notice if data of another kind get the zones that the paper chose for soccer."""
    if study.zones_s != CalfStudy.model_fields["zones_s"].default:
        return ()
    shown = ", ".join(
        f"{name} {' '.join(f'{time:g}' for time in study.zones_of(name))} s" for name in classes
    )
    return (
        f"the study file has no zones_s, so the classes get the zones of the paper for soccer ({shown}); "
        "for a study file with zones that suit the data: hpo data new FOLDER",
    )


def grid_points(grid: ClassGrid, frame_rate: FrameRate) -> list[ZoneFrames]:
    """Return the points of ``grid`` in frames that satisfy K1 < K2 < 0 < K3 < K4, without duplicates.

    Raises:
        ConfigError: No point satisfies the order when rounded to frames, or a value is too far from the
            action.
    """
    axes = [
        [frame_rate.to_frames(float(value)) for value in values]
        for values in (grid.K1_s, grid.K2_s, grid.K3_s, grid.K4_s)
    ]
    points = [(k1, k2, k3, k4) for k1, k2, k3, k4 in itertools.product(*axes) if k1 < k2 < 0 < k3 < k4]
    return _distinct(points, frame_rate, "K1 < K2 < 0 < K3 < K4")


def symmetric_points(values_s: Sequence[float], frame_rate: FrameRate) -> list[ZoneFrames]:
    """Return the points with K1 = 2 K2 = -2 K3 = -K4 in frames, one for each value of K3.

    Values that are equal in frames give one point; values that are 0 in frames give none.

    Raises:
        ConfigError: All values are 0 in frames, or a value is too far from the action.
    """
    frames = [frame_rate.to_frames(float(value)) for value in values_s]
    points = [(-2 * value, -value, value, 2 * value) for value in frames if value > 0]
    return _distinct(points, frame_rate, "K1 = 2 K2 = -2 K3 = -K4")


def _distinct(
    points: Sequence[tuple[int, int, int, int]], frame_rate: FrameRate, rule: str
) -> list[ZoneFrames]:
    if not points:
        raise ConfigError(
            f"expected a point of the grid that satisfies {rule} at {frame_rate}, got none",
            fix=f"use values of {frame_rate.to_seconds(1):g} s or more that differ by as much",
        )
    farthest = max(max(-k1, k4) for k1, _, _, k4 in points)
    if farthest > FARTHEST:
        raise ConfigError(
            f"expected values of the grid at most {frame_rate.to_seconds(FARTHEST):g} s from the action "
            f"at {frame_rate}, got {frame_rate.to_seconds(farthest):g} s",
            fix="use smaller values",
        )
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in dict.fromkeys(points)]
