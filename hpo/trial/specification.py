"""What a trial is told: paths and settings as plain JSON, never arrays."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from hpo.space.space import Parameters
from hpo.tasks.base.splits import SplitRef
from model.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One trial to train, possibly from where it stopped."""

    trial: str
    parameters: Parameters
    seed: int
    """Draws the trial's initial weights."""
    data_seed: int
    """Draws the chunks of all trials of the study."""
    study: dict[str, Any]
    """The study file."""
    train: SplitRef
    valid: SplitRef
    precision: Precision
    device: str
    folder: str
    """The trial's own folder, on storage that outlives the process."""
    reported_epoch: int = 0
    """Validations up to this epoch are known to the study already."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        splits = {name: SplitRef.from_json(record[name]) for name in ("train", "valid")}
        return cls(**{**record, **splits})
