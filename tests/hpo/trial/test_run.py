from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.trial.run import BEST, CHECKPOINT, CONFIG, Report, TrialRun, best_report
from hpo.trial.task import SplitRef, TrialTask
from model.data.store import open_split
from model.data.synthetic import write_synthetic
from model.training.checkpoint import load_checkpoint

STUDY: dict[str, Any] = {
    "task": "calf",
    "training": {
        "epochs": 3,
        "validate_every": 1,
        "sampler": "balanced",
        "batch_size": 4,
        "chunks_per_epoch": 8,
    },
    "stages": {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 1, "high": 8}}}},
}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SplitRef]:
    root, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    write_synthetic(root, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=2)
    names = ("train", "valid")
    return {
        name: SplitRef(
            path=str(open_split(root, features="synthetic", split=name, cache=cache).path), games=1
        )
        for name in names
    }


@pytest.fixture
def task(splits: dict[str, SplitRef], tmp_path: Path) -> TrialTask:
    return TrialTask(
        trial="bayes-0001",
        parameters={"f": 2},
        seed=0,
        data_seed=1,
        study=STUDY,
        train=splits["train"],
        valid=splits["valid"],
        precision="float32",
        device="cpu",
        folder=str(tmp_path / "trial"),
    )


def numbers(report: Report) -> dict[str, float]:
    return {name: value for name, value in report.metrics.items() if name != "chunks_per_s"}


def test_trial_taken_up_from_its_checkpoint_reports_what_an_undisturbed_one_reports(
    task: TrialTask, tmp_path: Path
) -> None:
    whole = TrialRun(replace(task, folder=str(tmp_path / "whole")))
    expected = [whole.advance() for _ in range(3)]
    assert whole.finished

    first = TrialRun(task).advance()
    again = TrialRun(replace(task, reported_epoch=1))
    rest = [again.advance(), again.advance()]
    assert again.finished
    assert [numbers(report) for report in (first, *rest)] == [numbers(report) for report in expected]


def test_report_that_the_study_missed_is_given_again_before_training_goes_on(task: TrialTask) -> None:
    run = TrialRun(task)
    reports = [run.advance() for _ in range(3)]
    resumed = TrialRun(replace(task, reported_epoch=1))
    assert [resumed.advance(), resumed.advance()] == reports[1:]
    assert resumed.finished


def test_best_network_is_kept_with_all_that_is_needed_to_use_it(task: TrialTask) -> None:
    run = TrialRun(task)
    reports = [run.advance() for _ in range(3)]
    best = load_checkpoint(Path(task.folder) / BEST)
    assert best["epoch"] == best_report(reports).epoch
    assert best["metrics"]["average_map"] == max(report.score for report in reports)
    assert best["classes"] == ["goal", "card", "substitution"]
    assert best["network_config"]["class_features"] == 2
    assert {"network", "zones_frames", "frame_rate"} <= set(best)
    assert {path.name for path in Path(task.folder).iterdir()} == {BEST, CHECKPOINT, CONFIG}


def test_best_report_is_the_earliest_of_the_highest() -> None:
    reports = [Report(epoch, {"average_map": score}, 0.0) for epoch, score in ((1, 0.2), (2, 0.4), (3, 0.4))]
    assert best_report(reports).epoch == 2


def test_task_survives_a_trip_through_json(task: TrialTask) -> None:
    assert TrialTask.from_json(task.to_json()) == task
