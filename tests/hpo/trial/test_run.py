from dataclasses import replace
from pathlib import Path

from hpo.trial.run import BEST, CHECKPOINT, CONFIG, Report, TrialRun, best_report
from hpo.trial.task import TrialTask
from model.training.checkpoint import load_checkpoint


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
