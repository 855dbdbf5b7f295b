"""A task whose trials take no time, for ``thousands.py``: its score is a formula with noise."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hpo.config.sections import Section, Training
from hpo.config.stages import SearchStage, Stages
from hpo.config.study_file import StudyFile
from hpo.space.space import Parameters
from hpo.tasks.base.learner import Learner
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import Task


class Hyperparameters(Section):
    """The five hyperparameters of the paper's search."""

    f: int = 16
    r_s: float = 40.0
    alpha2: float = 5.0
    beta: float = 0.5
    lambda_seg: float = 1.5


class Search(SearchStage):
    """The search."""

    hyperparameters = Hyperparameters


class InstantStages(Stages):
    """The stages of the task."""

    bayes: Search


class InstantStudy(StudyFile):
    """Study file of the task."""

    task: Literal["instant"]
    training: Training
    hyperparameters: Hyperparameters = Hyperparameters()
    stages: InstantStages


@dataclass(frozen=True)
class Config:
    """Settings of one trial."""

    tried: Parameters
    seed: int


class Instant(Learner[None]):
    """A trial whose score approaches ``expected_score`` over its epochs."""

    def train_epoch(self, train: None, device: torch.device) -> None:
        """Train nothing."""

    def validate(self, valid: None, device: torch.device) -> dict[str, float]:
        """Return as many metrics as a validation of action spotting."""
        config: Config = self.config
        noise = np.random.default_rng([config.seed, self.epoch]).normal(scale=0.02)
        score = min(1.0, max(0.0, expected_score(config.tried) * (1 - 0.5**self.epoch) + float(noise)))
        names = ("goal", "card", "substitution", "loss", "spotting", "segmentation", "rate", "speed")
        return {"score": score, **{f"of/{name}": score / 2 for name in names}}

    def learnt(self) -> dict[str, Any]:
        """Return nothing to resume from."""
        return {}

    def restore(self, learnt: dict[str, Any]) -> None:
        """Restore nothing."""


def expected_score(tried: Parameters) -> float:
    """Return a smooth function of the hyperparameters with a maximum of 0.6."""
    numbers = {"f": 16.0, "r_s": 40.0, "alpha2": 5.0, "beta": 0.5, "lambda_seg": 1.5}
    distance = sum(math.log(float(tried[name]) / best) ** 2 for name, best in numbers.items())
    return 0.6 * math.exp(-distance / 6)


class InstantTask(Task[InstantStudy, DataShape, None, Instant]):
    """The task."""

    name, unit, score, study_file = "instant", "items", Score("score", "Score"), InstantStudy

    def open_data(
        self, request: DataRequest, study: InstantStudy, progress: Progress
    ) -> OpenedData[DataShape]:
        """Open no data."""
        split = SplitRef(path=str(Path(request.place)), items=1)
        return OpenedData(
            dataset="instant", features="none", shape=DataShape(dims=1), train=split, valid=split, digest="0"
        )

    def open_split(self, split: SplitRef) -> None:
        """Open nothing."""

    def shape(self, split: None) -> DataShape:
        """Return an empty shape."""
        return DataShape(dims=1)

    def slot(
        self, study: InstantStudy, parameters: Parameters, shape: DataShape, *, seed: int, data_seed: int
    ) -> Instant:
        """Create a trial."""
        return Instant(Config({**study.hyperparameters.model_dump(), **parameters}, seed))


TASK = InstantTask()
