"""Training one trial from validation to validation, safe to be killed at any moment."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from hpo.config.study_file import parse_study
from hpo.trial.settings import DataShape, training_config, trial_config
from hpo.trial.task import TrialTask
from model.training.array import TrainingArray, Validation
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.weights.trained import TrainedNetwork

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Report:
    """One validation of a trial."""

    epoch: int
    metrics: dict[str, float]
    train_s: float
    """Seconds spent on the trial so far, over all its runs."""

    @property
    def score(self) -> float:
        """What the study maximises: Average-mAP on the validation split."""
        return self.metrics["average_map"]


def best_report(reports: list[Report]) -> Report:
    """The highest score; of equals the earliest."""
    return max(reports, key=lambda report: (report.score, -report.epoch))


class TrialRun:
    """A trial in training. After every validation its checkpoint is on disk before the report is given."""

    def __init__(self, task: TrialTask) -> None:
        """Open the data and go on from the trial's checkpoint, if it has one."""
        self._folder = Path(task.folder)
        train, valid = task.train.open(), task.valid.open()
        study = parse_study(task.study, file=task.trial)
        shape = DataShape(dims=train.dims, classes=train.classes, frame_rate=train.frame_rate)
        self._training = training_config(study, shape, precision=task.precision, data_seed=task.data_seed)
        self._config = trial_config(study, task.parameters, shape, seed=task.seed)
        self._array = TrainingArray(
            [self._config], self._training, train=train, valid=valid, device=torch.device(task.device)
        )
        self._write_config()
        self._classes, self._frame_rate = train.classes, train.frame_rate
        self._history: list[Report] = []
        if (self._folder / CHECKPOINT).exists():
            self._restore()
        self._unreported = [report for report in self._history if report.epoch > task.reported_epoch]

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained and reported."""
        return self._array.epoch >= self._training.epochs and not self._unreported

    @property
    def best(self) -> Report:
        """The best validation so far."""
        return best_report(self._history)

    def advance(self) -> Report:
        """Give the next report: one that the study missed, or that of the next validation."""
        if self._unreported:
            return self._unreported.pop(0)
        (validation,) = self._array.advance()
        report = self._report(validation)
        self._history.append(report)
        if self.best is report:
            self._save_best(report)
        self._save()
        return report

    def _write_config(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"trial": asdict(self._config), "training": asdict(self._training)}
        (self._folder / CONFIG).write_text(json.dumps(settings, indent=2))

    def _report(self, validation: Validation) -> Report:
        before = self._history[-1].train_s if self._history else 0.0
        return Report(validation.epoch, validation.metrics, before + validation.duration_s)

    def _save(self) -> None:
        content = {
            "epoch": self._array.epoch,
            "slot": self._array.slots[0].state(),
            "history": [asdict(report) for report in self._history],
        }
        save_checkpoint(self._folder / CHECKPOINT, content)

    def _restore(self) -> None:
        content = load_checkpoint(self._folder / CHECKPOINT)
        self._array.slots[0].load_state(content["slot"])
        self._array.epoch = content["epoch"]
        self._history = [Report(**record) for record in content["history"]]

    def _save_best(self, report: Report) -> None:
        """Write the network as it is now with all that is needed to use it."""
        trained = TrainedNetwork(
            network=self._array.slots[0].network,
            classes=self._classes,
            frame_rate=self._frame_rate,
            zones=self._config.loss.zones,
        )
        trained.save(self._folder / BEST, **asdict(report))
