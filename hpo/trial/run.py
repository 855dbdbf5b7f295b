"""One trial and its files: settings, checkpoint, best network. Safe to be killed at any moment."""

import json
from dataclasses import asdict
from pathlib import Path

from hpo.config.study_file import parse_study
from hpo.trial.report import Report, best_report
from hpo.trial.settings import DataShape, training_config, trial_config
from hpo.trial.task import TrialTask
from model.training.array import Validation
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.slots import Slot
from model.weights.trained import TrainedNetwork

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
CONFIG = "config.json"


class TrialRun:
    """A trial in training. After every validation its checkpoint is on disk before anybody hears of it."""

    def __init__(self, task: TrialTask, shape: DataShape) -> None:
        """Go on from the trial's checkpoint, if it has one.

        Raises:
            UserError: The settings cannot be used, or the checkpoint cannot be read.
        """
        self.trial = task.trial
        study = parse_study(task.study, file=task.trial)
        self.training = training_config(study, shape, precision=task.precision)
        self.slot = Slot(
            trial_config(study, task.parameters, shape, seed=task.seed, data_seed=task.data_seed)
        )
        self._folder, self._shape = Path(task.folder), shape
        self._history: list[Report] = []
        self._write_config()
        if (self._folder / CHECKPOINT).exists():
            self._restore()

    def report_after(self, epoch: int) -> Report | None:
        """The first validation after ``epoch`` so far."""
        return next((report for report in self._history if report.epoch > epoch), None)

    def is_last(self, report: Report) -> bool:
        """Whether all epochs were trained."""
        return report.epoch >= self.training.epochs

    def record(self, validation: Validation) -> None:
        """Take in a validation; checkpoint and best network are written."""
        before = self._history[-1].train_s if self._history else 0.0
        report = Report(validation.epoch, validation.metrics, before + validation.duration_s)
        self._history.append(report)
        if best_report(self._history) is report:
            self._save_best(report)
        self._save()

    def _write_config(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"trial": asdict(self.slot.config), "training": asdict(self.training)}
        (self._folder / CONFIG).write_text(json.dumps(settings, indent=2))

    def _save(self) -> None:
        content = {
            "slot": self.slot.state(),
            "history": [asdict(report) for report in self._history],
        }
        save_checkpoint(self._folder / CHECKPOINT, content)

    def _restore(self) -> None:
        content = load_checkpoint(self._folder / CHECKPOINT)
        self.slot.load_state(content["slot"])
        self._history = [Report(**record) for record in content["history"]]

    def _save_best(self, report: Report) -> None:
        """Write the network as it is now with all that is needed to use it."""
        trained = TrainedNetwork(
            network=self.slot.network,
            classes=self._shape.classes,
            frame_rate=self._shape.frame_rate,
            zones=self.slot.config.loss.zones,
        )
        trained.save(self._folder / BEST, **asdict(report))
