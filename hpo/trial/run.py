"""State and files of one trial: settings, checkpoint, best network. A kill at any time is safe."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hpo.tasks.base.printed import Printing
from hpo.tasks.base.registry import parse_study, task_named
from hpo.tasks.base.splits import DataShape
from hpo.trial.files import BEST, CHECKPOINT, CONFIG, NEXT, OUTPUT, PREVIOUS
from hpo.trial.report import Report, best_report, checked_metrics
from hpo.trial.specification import TrialSpec
from model.errors import DataError, StorageError
from model.precision import number_formats
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.outcomes import Validation


class TrialRun:
    """A trial in training, which writes a checkpoint after every validation and before reporting it."""

    def __init__(self, spec: TrialSpec, shape: DataShape) -> None:
        """Start the trial, or resume it from its checkpoint if it has one.

        Raises:
            UserError: The settings are invalid.
            StorageError: The trial's folder cannot be written, or its checkpoint not read.
        """
        self.trial = spec.trial
        self.notes: list[str] = []
        """Messages for the user, such as about damaged checkpoints."""
        study = parse_study(spec.study, file=spec.trial)
        self._task, self._shape = task_named(study.task), shape
        self._score = self._task.score_in(spec.study)
        self.shared = self._task.shared(study, shape, spec.precision)
        self.slot = self._task.slot(study, spec.parameters, shape, seed=spec.seed, data_seed=spec.data_seed)
        self.folder = Path(spec.folder)
        """Folder of the trial's files."""
        self._device = torch.device(spec.device)
        self._formats = number_formats(spec.precision, self._device)
        self._history: list[Report] = []
        with self._written():
            self._write_config()
            self._restore()
        if isinstance(self.slot, Printing):
            self.slot.output = self.folder / OUTPUT

    def report_after(self, epoch: int) -> Report | None:
        """Return the first validation after ``epoch``, or None if there is none so far."""
        return next((report for report in self._history if report.epoch > epoch), None)

    def is_last(self, report: Report) -> bool:
        """Return whether ``report`` is the validation after the last epoch."""
        return report.epoch >= self.shared.epochs

    def record(self, validation: Validation) -> None:
        """Record a validation, and write the checkpoint and then, if it is the best so far, the network.

        A kill between the two leaves the network to ``_restore``. The other way round, it would leave the
        network of an epoch that no record has.

        Raises:
            FailedError: The task returned metrics or a state that cannot be used.
            StorageError: The trial's folder cannot be written.
        """
        before = self._history[-1].train_s if self._history else 0.0
        report = Report.from_metrics(
            checked_metrics(validation.metrics, self._score),
            self._score,
            epoch=validation.epoch,
            train_s=before + validation.duration_s,
        )
        self._history.append(report)
        with self._written():
            self._save()
            self._save_best()

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error.strerror}") from error

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "trial": asdict(self.slot.config),
            "training": asdict(self.shared),
            "number_formats": asdict(self._formats),
        }
        (self.folder / CONFIG).write_text(json.dumps(settings, indent=2))

    def _save(self) -> None:
        content = {
            "slot": self.slot.state(),
            "history": [asdict(report) for report in self._history],
        }
        # Missing when the study has just ended the trial at the user's request: it removes the checkpoints.
        with contextlib.suppress(FileNotFoundError):
            # Writing takes long, renaming does not: a kill must not find the trial without a new checkpoint.
            save_checkpoint(self.folder / NEXT, content)
            # Missing after a kill between these two statements, or while a lost process still writes here.
            with contextlib.suppress(FileNotFoundError):
                (self.folder / CHECKPOINT).replace(self.folder / PREVIOUS)
            (self.folder / NEXT).replace(self.folder / CHECKPOINT)

    def _restore(self) -> None:
        """Load the newest readable checkpoint; delete damaged ones and add a note about each."""
        for file in (self.folder / name for name in (CHECKPOINT, NEXT, PREVIOUS)):
            if not file.exists():
                continue
            try:
                content = load_checkpoint(file)
            except DataError:
                self.notes.append(f"{self.trial}: {file.name} is damaged and was deleted")
                file.unlink()
            else:
                self.slot.load_state(content["slot"])
                self._history = [self._report(record) for record in content["history"]]
                self._save_best()
                return
        if self.notes:
            self.notes.append(f"{self.trial}: no checkpoint is left, so the trial restarts from epoch 0")

    def _report(self, record: dict[str, Any]) -> Report:
        """Read a validation from a checkpoint; older checkpoints do not store the score."""
        return Report.from_metrics(
            record["metrics"], self._score, epoch=record["epoch"], train_s=record["train_s"]
        )

    def _save_best(self) -> None:
        """Write the current network with everything that is needed to use it, if it is the best so far."""
        report = self._history[-1]
        if best_report(self._history) is report:
            self._task.save_network(self.slot, self._shape, self.shared, self.folder / BEST, asdict(report))
