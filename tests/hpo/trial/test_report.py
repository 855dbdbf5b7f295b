"""Reports of validations: what a task may return."""

import json

import numpy as np
import pytest
import torch

from hpo.tasks.base.score import Score
from hpo.trial.report import Report, checked_metrics
from model.training.outcomes import FailedError

SCORE = Score("r2", "R2")


def test_numbers_of_libraries_become_plain_numbers() -> None:
    metrics = {"r2": np.float32(0.5), "rows": np.int64(3), "loss": torch.tensor([0.25], requires_grad=True)}
    checked = checked_metrics(metrics, SCORE)
    assert json.loads(json.dumps(checked)) == {"r2": 0.5, "rows": 3.0, "loss": 0.25}


@pytest.mark.parametrize("score", [-3265.0, 1.01, -1e-3])
def test_score_outside_of_its_range_is_refused_with_its_value(score: float) -> None:
    with pytest.raises(FailedError, match=rf"score 'r2' in \[0, 1\].* got {score:g}"):
        checked_metrics({"r2": score}, SCORE)


def test_rounding_may_exceed_the_range() -> None:
    assert checked_metrics({"r2": 1.0 + 1e-9}, SCORE)["r2"] > 1.0


@pytest.mark.parametrize(
    ("value", "kind"),
    [("high", "str"), (torch.ones(2), "Tensor"), (np.ones(2), "ndarray"), (1j, "complex"), (True, "bool")],
)
def test_metric_that_is_no_number_is_named(value: object, kind: str) -> None:
    with pytest.raises(FailedError, match=f"a number as metric 'speed', got {kind}"):
        checked_metrics({"r2": 0.5, "speed": value}, SCORE)


def test_missing_score_is_named_with_what_came() -> None:
    with pytest.raises(FailedError, match=r"expected metric 'r2' .* got \['R2'\]"):
        Report.from_metrics({"R2": 0.5}, SCORE, epoch=4, train_s=1.0)
