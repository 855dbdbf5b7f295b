"""Specification of a trial: paths and settings as plain JSON, without arrays."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from hpo.space.space import Parameters
from hpo.tasks.base.splits import SplitRef
from model.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """A trial to train or to resume."""

    trial: str
    """Name of the trial."""
    parameters: Parameters
    """Hyperparameters; the study file gives those that are not named."""
    seed: int
    """Seed of the initial weights."""
    data_seed: int
    """Seed of the training chunks, which depends on the replicate only."""
    study: dict[str, Any]
    """Tables of the study file."""
    train: SplitRef
    """Training split."""
    valid: SplitRef
    """Validation split."""
    precision: Precision
    """Number format of matrix products."""
    device: str
    """Device to train on, ``cpu`` or ``cuda``."""
    folder: str
    """Folder of the trial, on storage that outlives the process."""
    code: str = ""
    """Digest of the code with which the study was started. Empty: a process does not compare its own."""
    reported_epoch: int = 0
    """Epoch of the last validation that the study has recorded."""

    def to_json(self) -> dict[str, Any]:
        """Convert the specification to plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Build a specification from the output of ``to_json``."""
        splits = {name: SplitRef.from_json(record[name]) for name in ("train", "valid")}
        return cls(**{**record, **splits})
