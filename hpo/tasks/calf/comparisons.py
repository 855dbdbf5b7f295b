"""Configurations to compare with the found one: ablation, sensitivity, lambda_seg sweep."""

from collections.abc import Sequence

from hpo.space.space import Parameters
from hpo.tasks.calf.zones import zone_parameters, zones_of
from model.timeline import FARTHEST

FULL = "full model"
"""Role of the unchanged configuration."""
BINARY_ZONES = (-1.0, -0.5, 0.5, 1.0)
"""Slicing parameters in frames for K1 = -1 = K2 = -K3 = -K4 as the paper means it (section 4.1, ablation ii).
The target is the frame of the action only; all other frames, its neighbours included, are background."""


def ablation_entries(start: Parameters, classes: Sequence[str]) -> dict[str, Parameters]:
    """Return the rows of Table 2: the full model, and without segmentation, slicing, margins or matching."""
    binary: Parameters = {}
    for name in classes:
        binary |= zone_parameters(name, BINARY_ZONES)
    return {
        FULL: start,
        "(i) no segmentation": {**start, "lambda_seg": 0.0},
        "(ii) no context slicing": {**start, **binary},
        "(iii) no margins": {**start, "tau_max": 1.0, "tau_min": 0.0},
        "(iv) no matching": {**start, "matching": "none"},
    }


def sensitivity_entries(
    start: Parameters, classes: Sequence[str], factors: Sequence[float]
) -> dict[str, Parameters]:
    """Return the full model, and one entry per class, slicing parameter and factor.

    Entries that would break the order K1 < K2 < 0 < K3 < K4, or lie too far from the action, are omitted.
    """
    entries = {FULL: start}
    for name in classes:
        zones = zones_of(start, name)
        for index in range(4):
            for factor in factors:
                moved = list(zones)
                moved[index] = float(round(zones[index] * factor))
                k1, k2, k3, k4 = moved
                possible = k1 < k2 < 0 < k3 < k4 and max(-k1, k4) <= FARTHEST
                if possible and moved[index] != zones[index]:
                    role = f"K{index + 1}.{name} {moved[index]:g}"
                    entries[role] = {**start, **zone_parameters(name, (k1, k2, k3, k4))}
    return entries


def lambda_entries(start: Parameters, values: Sequence[float]) -> dict[str, Parameters]:
    """Return the configuration with each value of lambda_seg, as in section 7.5."""
    return {f"lambda_seg {value:g}": {**start, "lambda_seg": value} for value in values}
