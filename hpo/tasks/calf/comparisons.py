"""Rows of the comparisons around a configuration: ablation, sensitivity, lambda sweep."""

from collections.abc import Sequence

from hpo.space.space import Parameters
from hpo.tasks.calf.zones import zone_parameters, zones_of

FULL = "full model"
BINARY_ZONES = (-1.0, -0.5, 0.5, 1.0)
"""K1 = -1 = K2 = -K3 = -K4 as the paper means it (section 4.1, ablation ii): the action's own frame is to be
recognised and every other frame, the neighbours included, is background."""


def ablation_entries(start: Parameters, classes: Sequence[str]) -> dict[str, Parameters]:
    """Table 2: the full model, and it without segmentation, slicing, margins and matching in turn."""
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
    """The full model, and each slicing parameter of each class times each factor, where the order is kept."""
    entries = {FULL: start}
    for name in classes:
        zones = zones_of(start, name)
        for index in range(4):
            for factor in factors:
                moved = list(zones)
                moved[index] = float(round(zones[index] * factor))
                k1, k2, k3, k4 = moved
                if k1 < k2 < 0 < k3 < k4 and moved[index] != zones[index]:
                    role = f"K{index + 1}.{name} {moved[index]:g}"
                    entries[role] = {**start, **zone_parameters(name, (k1, k2, k3, k4))}
    return entries


def lambda_entries(start: Parameters, values: Sequence[float]) -> dict[str, Parameters]:
    """Section 7.5: the configuration with each value of lambda_seg."""
    return {f"lambda_seg {value:g}": {**start, "lambda_seg": value} for value in values}
