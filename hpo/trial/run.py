"""One trial and its files: settings, checkpoint, best network. Safe to be killed at any moment."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpo.tasks.base.registry import parse_study, task_named
from hpo.tasks.base.splits import DataShape
from hpo.trial.report import Report, best_report
from hpo.trial.specification import TrialSpec
from model.errors import DataError, StorageError
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.outcomes import Validation

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
"""The one before, should the newest be damaged on the disk."""
BEST = "best.pt"
CONFIG = "config.json"


class TrialRun:
    """A trial in training. After every validation its checkpoint is on disk before anybody hears of it."""

    def __init__(self, spec: TrialSpec, shape: DataShape) -> None:
        """Go on from the trial's checkpoint, if it has one.

        Raises:
            UserError: The settings cannot be used.
            StorageError: The trial's folder cannot be written.
        """
        self.trial = spec.trial
        self.notes: list[str] = []
        """What a person should know of the start."""
        study = parse_study(spec.study, file=spec.trial)
        self._task, self._shape = task_named(study.task), shape
        self.shared = self._task.shared(study, shape, spec.precision)
        self.slot = self._task.slot(study, spec.parameters, shape, seed=spec.seed, data_seed=spec.data_seed)
        self._folder = Path(spec.folder)
        self._history: list[Report] = []
        with self._written():
            self._write_config()
            self._restore()

    def report_after(self, epoch: int) -> Report | None:
        """The first validation after ``epoch`` so far."""
        return next((report for report in self._history if report.epoch > epoch), None)

    def is_last(self, report: Report) -> bool:
        """Whether all epochs were trained."""
        return report.epoch >= self.shared.epochs

    def record(self, validation: Validation) -> None:
        """Take in a validation; checkpoint and best network are written.

        Raises:
            StorageError: They cannot be.
        """
        before = self._history[-1].train_s if self._history else 0.0
        report = Report.of(
            validation.metrics,
            self._task.score,
            epoch=validation.epoch,
            train_s=before + validation.duration_s,
        )
        self._history.append(report)
        with self._written():
            if best_report(self._history) is report:
                self._save_best(report)
            self._save()

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be written: {error.strerror}") from error

    def _write_config(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"trial": asdict(self.slot.config), "training": asdict(self.shared)}
        (self._folder / CONFIG).write_text(json.dumps(settings, indent=2))

    def _save(self) -> None:
        content = {
            "slot": self.slot.state(),
            "history": [asdict(report) for report in self._history],
        }
        # Missing after a kill between the two lines, and for a moment if a lost process still writes here.
        with contextlib.suppress(FileNotFoundError):
            (self._folder / CHECKPOINT).replace(self._folder / PREVIOUS)
        save_checkpoint(self._folder / CHECKPOINT, content)

    def _restore(self) -> None:
        """Take up the newest checkpoint that can be read; what cannot is removed, and said."""
        for file in (self._folder / CHECKPOINT, self._folder / PREVIOUS):
            if not file.exists():
                continue
            try:
                content = load_checkpoint(file)
            except DataError:
                self.notes.append(f"{self.trial}: {file.name} was damaged on the disk and is not used")
                file.unlink()
            else:
                self.slot.load_state(content["slot"])
                self._history = [self._told(record) for record in content["history"]]
                return
        if self.notes:
            self.notes.append(f"{self.trial}: no checkpoint is left, it is trained again from its start")

    def _told(self, record: dict[str, Any]) -> Report:
        """A validation of a checkpoint; older ones do not name the score."""
        return Report.of(
            record["metrics"], self._task.score, epoch=record["epoch"], train_s=record["train_s"]
        )

    def _save_best(self, report: Report) -> None:
        """Write the network as it is now with all that is needed to use it."""
        self._task.save_network(self.slot, self._shape, self._folder / BEST, asdict(report))
