"""Memory: flat passes and growing fails; an array that must shrink has to say so and lose no trial."""

from pathlib import Path

import pytest
import torch

from hpo.bench import memory
from hpo.bench.memory import check_growth, growth_line, shrinking_line
from hpo.bench.setting import Setting
from hpo.bench.trials import mixed_cohorts, training_array
from model.training.device_state import MEGABYTE
from model.training.recorder import ignore_note
from model.training.trainer import TrainingArray

NOTE = "the device's memory is too small for the training of all trials of an array"


class Machine:
    """Memory that grows by some megabytes in every interval after a number of them."""

    def __init__(self, *, by_mb: float, after: int) -> None:
        self.intervals, self._by_mb, self._after = 0, by_mb, after

    def advance(self) -> None:
        self.intervals += 1

    def memory_mb(self) -> float:
        return 500.0 + self._by_mb * max(0, self.intervals - self._after)


def test_memory_that_grows_in_every_interval_fails() -> None:
    leaking = Machine(by_mb=5.0, after=0)
    line = growth_line(leaking.advance, leaking.memory_mb, "of the process")
    assert line.verdict == "FAIL" and "grows by 60 MB" in line.figures
    assert leaking.intervals == memory.INTERVALS


def test_memory_that_is_taken_once_and_given_back_late_fails() -> None:
    values = iter([100.0] * 12 + [400.0] + [100.0] * 7)
    assert growth_line(lambda: None, lambda: next(values), "").verdict == "FAIL"


def test_memory_that_settles_passes() -> None:
    values = iter([100.0, 300.0, 500.0] + [700.0] * 17)
    assert growth_line(lambda: None, lambda: next(values), "").verdict == "PASS"


def test_growth_is_looked_for_in_an_array_that_validates(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "INTERVALS", 3)
    monkeypatch.setattr(memory, "SETTLED", 1)
    taken_mb = [500.0]
    advance = TrainingArray.advance

    def leaking(array: TrainingArray) -> object:
        taken_mb.append(taken_mb[-1] + 60.0)
        assert len(array.slots) == 4
        return advance(array)

    # The memory of this process tells nothing here: what earlier tests took is given back meanwhile.
    monkeypatch.setattr(memory, "memory_mb", lambda device: taken_mb[-1])
    monkeypatch.setattr(TrainingArray, "advance", leaking)
    (line,) = check_growth(setting)
    assert line.verdict == "FAIL" and "grows by 120 MB" in line.figures


def test_memory_of_the_process_is_the_one_that_the_system_reports() -> None:
    # Not what an allocation adds: what earlier tests took is given back meanwhile.
    seen = memory.memory_mb(torch.device("cpu"))
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in each]
    assert seen == pytest.approx(int(line.split()[1]) * 1024 / MEGABYTE, rel=0.1)


def test_an_array_that_shrinks_and_finishes_passes_and_others_fail() -> None:
    assert shrinking_line(100.0, [], [NOTE]).verdict == "PASS"
    assert shrinking_line(100.0, ["too little memory"], [NOTE]).verdict == "FAIL"
    unlimited = shrinking_line(100.0, [], ["something else"])
    assert unlimited.verdict == "FAIL" and "did not shrink" in unlimited.figures


def test_trials_that_fail_are_counted(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> object:
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr(TrainingArray, "_train_part", refuse)
    trials = [trial for cohort in mixed_cohorts(setting.train) for trial in cohort]
    array = training_array(setting, trials, epochs=1, on_note=ignore_note)
    assert len(memory.finish(array)) == len(trials)
