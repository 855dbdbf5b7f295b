"""A study that is killed and resumed: what its journal must hold afterwards."""

import sys
from collections.abc import Sequence

import pytest

from hpo.bench import study
from hpo.bench.setting import Setting
from hpo.bench.study import TRIALS, check_killed_study, resumed_line
from hpo.journal.events import Event, TrialFailed, TrialFinished, TrialReported

NAMES = [f"bayes-{number:04d}" for number in range(1, TRIALS + 1)]


def reports(epoch: int, names: Sequence[str] = NAMES) -> list[Event]:
    return [TrialReported(trial=name, epoch=epoch, metrics={}, train_s=1.0) for name in names]


def ends(names: Sequence[str] = NAMES) -> list[Event]:
    return [TrialFinished(trial=name, score=0.5, epoch=2, duration_s=1.0) for name in names]


BEFORE = reports(1)


def test_study_whose_trials_all_finish_once_passes() -> None:
    line = resumed_line(BEFORE, [*BEFORE, *reports(2), *ends()], 3.0)
    assert line.verdict == "PASS" and "8 finished, 0 failed, 0 results repeated" in line.figures


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([*BEFORE, *reports(2), *ends(NAMES[1:])], "7 finished"),
        ([*BEFORE, *reports(1, NAMES[:1]), *reports(2), *ends()], "1 results repeated"),
        ([*BEFORE, *reports(2), *ends(), *ends(NAMES[:2])], "2 results repeated"),
        ([*BEFORE, *ends(NAMES[1:]), TrialFailed(trial=NAMES[0], reason="CUDA error")], "CUDA error"),
        ([*reports(2), *ends()], "events of the journal were lost"),
    ],
)
def test_trial_that_is_missing_repeated_failed_or_lost_fails(after: list[Event], said: str) -> None:
    line = resumed_line(BEFORE, after, 3.0)
    assert line.verdict == "FAIL" and said in line.figures


def test_study_that_does_not_start_fails_with_what_it_said(setting: Setting) -> None:
    broken = (sys.executable, "-c", "import sys; sys.exit('error: no GPU here')")
    (line,) = check_killed_study(setting, broken)
    assert line.verdict == "FAIL" and "error: no GPU here" in line.figures


@pytest.mark.slow
def test_study_is_killed_and_resumed(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every trial is a process that starts twice, and eight do nothing that three do not.
    monkeypatch.setattr(study, "TRIALS", 3)
    (line,) = check_killed_study(setting)
    assert line.verdict == "PASS" and "3 trials at a time" in line.figures, line
