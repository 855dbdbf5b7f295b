from pathlib import Path
from typing import Any

from hpo.trial.array import TrialArray
from hpo.trial.report import Report, best_report
from hpo.trial.run import BEST, CHECKPOINT, CONFIG
from hpo.trial.task import TrialTask
from model.training.checkpoint import load_checkpoint


def steps(task: TrialTask, count: int, *, seen: int = 0) -> list[dict[str, Any]]:
    """What a process tells that trains so many validations, the clock left out."""
    array, results = TrialArray(), []
    for _ in range(count):
        result = array.step(task.to_json(), seen)
        seen = result["epoch"]
        metrics = {name: value for name, value in result["metrics"] if name != "chunks_per_s"}
        results.append({**result, "metrics": metrics, "train_s": 0.0})
    return results


def test_trial_taken_up_from_its_checkpoint_reports_what_an_undisturbed_one_reports(
    task: TrialTask, tmp_path: Path
) -> None:
    undisturbed = TrialTask.from_json({**task.to_json(), "folder": str(tmp_path / "whole")})
    expected = steps(undisturbed, 3)
    assert [result["finished"] for result in expected] == [False, False, True]
    assert steps(task, 1) + steps(task, 2, seen=1) == expected


def test_report_that_the_study_missed_is_given_again_before_training_goes_on(task: TrialTask) -> None:
    reports = steps(task, 3)
    assert steps(task, 2, seen=1) == reports[1:]


def test_best_network_is_kept_with_all_that_is_needed_to_use_it(task: TrialTask) -> None:
    reports = steps(task, 3)
    best = load_checkpoint(Path(task.folder) / BEST)
    scores = [result["score"] for result in reports]
    assert best["epoch"] == 1 + scores.index(max(scores))
    assert best["metrics"]["average_map"] == max(scores)
    assert best["classes"] == ["goal", "card", "substitution"]
    assert best["network_config"]["class_features"] == 2
    assert {"network", "zones_frames", "frame_rate"} <= set(best)
    assert {path.name for path in Path(task.folder).iterdir()} == {BEST, CHECKPOINT, CONFIG}


def test_best_report_is_the_earliest_of_the_highest() -> None:
    reports = [Report(epoch, {"average_map": score}, 0.0) for epoch, score in ((1, 0.2), (2, 0.4), (3, 0.4))]
    assert best_report(reports).epoch == 2


def test_task_survives_a_trip_through_json(task: TrialTask) -> None:
    assert TrialTask.from_json(task.to_json()) == task
