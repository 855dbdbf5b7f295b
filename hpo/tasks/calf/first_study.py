"""First study file for a data set of one's own: zones and ranges in seconds that suit its actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from model.data.labels.spacing import Spacing
from model.timeline import FrameRate
from model.wording import counted

ZONE_UNITS = (-2, -1, 1, 2)
"""Zones of a class, K1 to K4, in units."""
_WIDEST_S = 10.0
"""Unit of the paper: its zones of cards are those of ``ZONE_UNITS``, its r is 4 units, its chunk 12."""
_LEAST_PREDICTIONS = 5
_CHUNK_UNITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStudy:
    """Durations of a first study. All follow from one unit per class, a quarter of its spacing."""

    units_s: Mapping[str, float]
    """Class -> unit in seconds."""
    origins: Mapping[str, str]
    """Class -> where its unit comes from."""
    part_s: float | None
    """Seconds that most parts last at least; None if nothing says."""
    frame_rate: FrameRate

    @property
    def unit_s(self) -> float:
        """Unit of what all classes share: the median, at least two frames, and a chunk fits into a part."""
        unit_s = median(self.units_s.values())
        if self.part_s is not None:
            unit_s = min(unit_s, _rounded(self.part_s / _CHUNK_UNITS))
        return max(unit_s, self.frame_rate.to_seconds(2))

    @property
    def chunk_s(self) -> float:
        """Duration of a chunk in seconds."""
        return _CHUNK_UNITS * self.unit_s

    @property
    def _tolerances(self) -> str:
        """Tolerances of Average-mAP: the paper's are half a unit to six units."""
        return '"loose"' if self.unit_s >= _WIDEST_S else _times(self.unit_s, (1, 2, 3, 4, 5, 6))

    def toml(self, *, dataset: str, most_actions: int) -> str:
        """Return the study file.

        Args:
            dataset: Name of the data set.
            most_actions: Largest number of actions within a chunk.
        """
        unit = self.unit_s
        zones = "\n".join(
            f"{_key(name)} = {_times(own, ZONE_UNITS)}  # {self.origins[name]}"
            for name, own in self.units_s.items()
        )
        # A line break in a name would end the comment.
        shown = "".join(character if character.isprintable() else " " for character in dataset)
        most = counted(most_actions, "action")
        return f"""# First study file for {shown}. All durations are in seconds and follow from the
# spacing of the actions; they are starting points, not results. All else is as in calf.toml.

task = "calf"

[network]
chunk_s = {_s(_CHUNK_UNITS * unit)}
predictions = {max(_LEAST_PREDICTIONS, most_actions)}  # no chunk has more than {most}

[training]
epochs = 100
action_margin_s = {_s(2 * unit)}

[scoring]
tolerances = {self._tolerances}  # seconds; "loose": 5 to 60 s, as for soccer; "tight": 1 to 5 s

[hyperparameters]
r_s = {_s(4 * unit)}

[zones_s]  # K1 < K2 < 0 < K3 < K4 of each class
default = {_times(unit, ZONE_UNITS)}
{zones}

[stages.bayes]
trials = 40

[stages.bayes.space]
f = {{ type = "int", low = 4, high = 64, log = true }}
r_s = {{ type = "float", low = {_s(unit)}, high = {_s(8 * unit)}, log = true }}
alpha2 = {{ type = "float", low = 0.5, high = 50.0, log = true }}
beta = {{ type = "float", low = 0.05, high = 5.0, log = true }}
lambda_seg = {{ type = "float", low = 0.05, high = 15.0, log = true }}

[stages.grid-slicing]
symmetric_s = {_times(unit, (0.25, 0.5, 1, 2, 4))}

[stages.grid-slicing.grid.default]
K1_s = {_times(unit, (-4, -2, -1))}
K2_s = {_times(unit, (-2, -1, -0.5))}
K3_s = {_times(unit, (0.5, 1, 3, 6))}
K4_s = {_times(unit, (1, 2, 6, 9))}
"""


def first_study(spacing: Mapping[str, Spacing], part_s: float | None, frame_rate: FrameRate) -> FirstStudy:
    """Choose the unit of every class: a quarter of its spacing, from one frame to 10 s.

    Args:
        spacing: Class -> spacing of its actions.
        part_s: Seconds that most parts last at least, and the spacing of a class of which no part has two
            actions; None if nothing says.
        frame_rate: Rate of the features.
    """
    least = frame_rate.to_seconds(1)
    units, origins = {}, {}
    for name, own in spacing.items():
        gap_s = own.gap_s or part_s or 4 * _WIDEST_S
        units[name] = min(max(_rounded(gap_s / 4), least), max(_WIDEST_S, least))
        origins[name] = _origin(own, part_s)
    return FirstStudy(units_s=units, origins=origins, part_s=part_s, frame_rate=frame_rate)


def _origin(own: Spacing, part_s: float | None) -> str:
    if own.gap_s is not None:
        return f"75 % of the gaps between its {own.actions} actions are at least {_about(own.gap_s)} long"
    source = f"most parts last {_about(part_s)} or longer" if part_s else "the paper's narrowest zones"
    return f"no part has two of these actions; {source}"


def _about(seconds: float) -> str:
    return f"{float(f'{seconds:.3g}'):,g} s"


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.2g}")


def _s(seconds: float) -> str:
    return str(float(f"{seconds:.6g}"))


def _times(unit: float, factors: tuple[float, ...]) -> str:
    return f"[{', '.join(_s(unit * factor) for factor in factors)}]"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else f'"{name}"'
