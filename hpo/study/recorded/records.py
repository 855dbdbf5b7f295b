"""Records of trials and validations: one flat row each, for tables in files and in notebooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.journal.journal import writer_of
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.space.symbols import by_symbol
from hpo.tasks.base.registry import score_of
from hpo.trial.files import BEST, CHECKPOINT, CONFIG, ERROR, OUTPUT, trial_folder
from model.wording import counted

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
"""Column -> value."""
_BEFORE_SCORE = ("trial", "stage", "role", "replicate", "seed", "status", "reason")
_AFTER_SCORE = (
    *("best_epoch", "epochs_trained", "asked_at", "started_at", "ended_at", "duration_s", "host", "device"),
    "folder",
)
"""Columns that every trial has, before and after its score."""
_OF_A_VALIDATION = ("trial", "stage", "epoch", "train_s", "at")
"""Columns that every validation has."""


def trial_table(state: StudyState, folder: Path) -> "pd.DataFrame":
    """Return the rows of ``trial_rows`` as a table; without trials, it has the columns of every trial."""
    import pandas as pd

    rows = trial_rows(state, folder)
    fixed = [*_BEFORE_SCORE, score_of(state.created).metric, *_AFTER_SCORE]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=fixed)


def validation_table(state: StudyState) -> "pd.DataFrame":
    """Return the rows of ``validation_rows`` as a table; without any, it has the columns that each has."""
    import pandas as pd

    rows = validation_rows(state)
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=_OF_A_VALIDATION)


def trial_rows(state: StudyState, folder: Path) -> list[Row]:
    """Return one row per trial in the order of proposal, also of trials without a score.

    Columns: what identifies the trial; its status and score; ``param/SYMBOL`` for each hyperparameter;
    ``metric/NAME`` for each metric of its best validation, ``test/NAME`` on the test split; times and
    machine.

    Args:
        state: The study.
        folder: Folder of the study.
    """
    score, is_running = score_of(state.created).metric, writer_of(folder) is not None
    return [_trial_row(trial, score, folder, is_running=is_running) for trial in state.trials.values()]


def validation_rows(state: StudyState) -> list[Row]:
    """Return one row per validation: trial, epoch, seconds spent so far, and ``metric/NAME``."""
    return [
        {
            "trial": trial.trial,
            "stage": trial.stage,
            "epoch": epoch,
            "train_s": report.train_s,
            "at": report.at,
            **_prefixed("metric", report.metrics),
        }
        for trial in state.trials.values()
        for epoch, report in sorted(trial.reports.items())
    ]


def failures(state: StudyState, folder: Path, stage: str | None = None) -> list[Row]:
    """Return the failed trials of a stage, by default of all, in the order in which they failed.

    Each has its reason and the file of its traceback, if there is one.
    """
    trials = state.trials.values() if stage is None else state.trials_of(stage)
    failed = [trial for trial in trials if trial.status is TrialStatus.FAILED]
    failed.sort(key=lambda trial: trial.ended_at or trial.asked_at)
    return [
        {
            "trial": trial.trial,
            "status": str(trial.status),
            "reason": trial.reason,
            "traceback": trial_files(folder, trial.trial).get("traceback"),
        }
        for trial in failed
    ]


def alike_failures(state: StudyState, folder: Path) -> list[Row]:
    """Return the failures because of which a study has stopped: of its stage, those for the latest reason.

    An earlier session, whose cause the user has removed since, may have failed for another one.
    """
    failed = failures(state, folder, state.pending[0])
    return [failure for failure in failed if failure["reason"] == failed[-1]["reason"]]


def all_fail_sentence(failed: Sequence[Row]) -> str:
    """Say why all trials fail; ``failed`` comes from ``alike_failures``."""
    return f"{counted(len(failed), 'trial')} failed, all for the same reason: {failed[0]['reason']}"


def first_traceback(failed: Sequence[Row]) -> Path | None:
    """Return the file of the first traceback, if there is one; ``failed`` comes from ``failures``."""
    return next((failure["traceback"] for failure in failed if failure["traceback"]), None)


def trial_files(folder: Path, trial: str) -> dict[str, Path]:
    """Return the files that a trial has, by what they hold."""
    kinds = {
        "weights": BEST,
        "checkpoint": CHECKPOINT,
        "settings": CONFIG,
        "traceback": ERROR,
        "printed": OUTPUT,
    }
    return {
        what: file for what, name in kinds.items() if (file := trial_folder(folder, trial) / name).is_file()
    }


def _trial_row(trial: TrialState, score: str, folder: Path, *, is_running: bool) -> Row:
    return {
        "trial": trial.trial,
        "stage": trial.stage,
        "role": trial.role,
        "replicate": trial.replicate,
        "seed": trial.seed,
        "status": trial.status_in_words(is_running=is_running),
        "reason": trial.reason,
        score: trial.score,
        "best_epoch": trial.best_epoch,
        "epochs_trained": trial.epochs_trained,
        **_prefixed("param", by_symbol(trial.parameters)),
        **_prefixed("metric", trial.metrics),
        **_prefixed("test", trial.tested or {}),
        "asked_at": trial.asked_at,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
        "duration_s": trial.duration_s,
        "host": trial.host,
        "device": trial.device,
        "folder": str(trial_folder(folder, trial.trial)),
    }


def _prefixed(prefix: str, values: Any) -> Row:
    return {f"{prefix}/{name}": value for name, value in values.items()}
