"""Reports of validations: what a task may return."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from hpo.tasks.base.score import Score
from hpo.trial.report import Report
from model.training.outcomes import FailedError

SCORE = Score("r2", "R2")


def report(**metrics: Any) -> Report:
    return Report.from_metrics(metrics, SCORE, epoch=4, train_s=1.0)


def test_numbers_of_numpy_become_plain_numbers() -> None:
    made = report(r2=np.float32(0.5), rows=np.int64(3))
    assert made.score == 0.5
    assert json.loads(json.dumps(made.metrics)) == {"r2": 0.5, "rows": 3.0}


@pytest.mark.parametrize("score", [-3265.0, 1.01, -1e-3])
def test_score_outside_of_its_range_is_refused_with_its_value(score: float) -> None:
    with pytest.raises(FailedError, match=rf"score 'r2' in \[0, 1\].* got {score:g} after epoch 4"):
        report(r2=score)


def test_rounding_may_exceed_the_range() -> None:
    assert report(r2=1.0 + 1e-9).score > 1.0


@pytest.mark.parametrize(("value", "kind"), [("high", "str"), (torch.tensor(0.5), "Tensor"), (True, "bool")])
def test_metric_that_is_no_number_is_named(value: object, kind: str) -> None:
    with pytest.raises(FailedError, match=f"a number as metric 'speed', got {kind}"):
        report(r2=0.5, speed=value)


def test_missing_score_is_named_with_what_came() -> None:
    with pytest.raises(FailedError, match=r"expected metric 'r2' .* got \['R2'\]"):
        report(R2=0.5)
