"""Files of a trial in the folder of its study."""

import contextlib
from pathlib import Path

CHECKPOINT = "checkpoint.pt"
"""File with everything that a trial resumes from; it is deleted when the trial has ended."""
PREVIOUS = "checkpoint.previous.pt"
"""The previous checkpoint, used if the newest one is damaged."""
NEXT = "checkpoint.next.pt"
"""The newest checkpoint until it takes its name; a kill can leave it behind, whole."""
BEST = "best.pt"
"""File with the network of the best validation."""
CONFIG = "config.json"
"""File with the settings of the trial."""
ERROR = "error.txt"
"""File with the traceback of the error that ended a failed trial."""

OUTPUT = "output.txt"
"""File with what the user's code printed."""
IN_TRAINING = "in-training.txt"
"""File that exists while a process trains the trial; a process that dies leaves it behind."""


def trial_folder(study_folder: Path, trial: str) -> Path:
    """Return the folder of a trial's checkpoints and settings."""
    return study_folder / "trials" / trial


def remove_training_files(folder: Path) -> int:
    """Delete what only a running trial needs, such as checkpoints, and what a killed process left unfinished.

    Returns:
        Number of bytes freed.
    """
    freed = 0
    names = (CHECKPOINT, PREVIOUS, NEXT, IN_TRAINING)
    unfinished = (file for name in (NEXT, BEST) for file in folder.glob(f".{name}.*"))
    for file in (*(folder / name for name in names), *unfinished):
        with contextlib.suppress(OSError):  # missing, or on a disk that is read-only by now
            size = file.stat().st_size
            file.unlink()
            freed += size
    return freed
