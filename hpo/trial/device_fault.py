"""Record in a trial's folder that its device failed, for the process that continues the trial."""

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from model.files import write_whole

MOST = 2
"""Number of failures of the device in a trial's own training after which the trial fails."""
_FILE = "device-fault.json"


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """Failure of a device, after which its process had to end."""

    count: int
    """Number of failures while the device trained this trial, alone or together with others."""
    reason: str
    """Message of the last failure."""
    ended_at: float
    """Time at which the process ended, in seconds since 1970; tells one failure from the next."""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the failure that is recorded in a trial's folder; None if there is none."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads((folder / _FILE).read_text()))
        return None

    @classmethod
    def add(cls, folder: Path, reason: str, *, in_training: bool) -> None:
        """Record a failure in the folder of a trial that the device trained or that its process holds."""
        before = cls.read(folder)
        count = (before.count if before else 0) + in_training
        with contextlib.suppress(OSError):  # the trial then counts as one whose process died
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / _FILE, json.dumps(asdict(cls(count, reason, time.time()))).encode())

    @staticmethod
    def clear(folder: Path) -> None:
        """Remove the record: the device has trained the trial without failing."""
        with contextlib.suppress(OSError):
            (folder / _FILE).unlink(missing_ok=True)

    @property
    def is_final(self) -> bool:
        """Whether the trial must not be trained again."""
        return self.count >= MOST
