"""What a person finds in MLflow."""

import json
import re
from typing import Any

import pytest
from mlflow_record import client_of, everything_in, experiment_of, record, runs_of
from reference_pages import names

from hpo.config.environment import Environment
from hpo.journal.events import (
    StageAsked,
    StageExtended,
    StageFinished,
    StageRetried,
    TrialFailed,
    TrialReported,
    TrialStopped,
    TrialTested,
)
from hpo.tracking.figures import FigureFiles
from hpo.tracking.runs import recorded_trial


def test_a_stage_is_a_run_and_its_trials_are_runs_below_it(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    runs = runs_of(study, environment)
    assert set(runs) == {"bayes", "bayes-0000", "bayes-0001", "bayes-0002"}
    assert experiment_of(study, environment).name == study.name
    stage = runs.pop("bayes")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {stage.info.run_id}
    assert "mlflow.parentRunId" not in stage.data.tags


def test_runs_end_as_their_stages_and_trials_did(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    runs = runs_of(study, environment)
    statuses = {name: (run.info.status, run.data.tags["hpo.status"]) for name, run in runs.items()}
    assert statuses == {
        "bayes": ("FINISHED", "finished"),
        "bayes-0000": ("FINISHED", "finished"),
        "bayes-0001": ("FAILED", "failed"),
        "bayes-0002": ("FINISHED", "finished"),
    }
    assert runs["bayes-0001"].data.tags["hpo.reason"] == "loss is NaN at epoch 21"
    minute = 60_000
    first = runs["bayes-0000"].info
    assert first.end_time - first.start_time == 4 * minute


def test_stopped_trial_looks_stopped_and_keeps_its_files(study: Any, environment: Environment) -> None:
    study.create()
    study.first_trial()
    study.stopped_trial()
    record(study, environment)
    run = runs_of(study, environment)["bayes-0003"]
    assert (run.info.status, run.data.tags["hpo.status"]) == ("KILLED", "stopped")
    assert (run.data.metrics["score"], run.data.tags["hpo.best"]) == (0.3, "true")
    assert "**Stopped early** after 20 epochs" in run.data.tags["mlflow.note.content"]
    files = client_of(environment).list_artifacts(run.info.run_id)
    assert sorted(file.path for file in files) == ["best.pt", "config.json"]
    stage = runs_of(study, environment)["bayes"]
    assert stage.data.tags["hpo.best_trial"] == "bayes-0003"


def test_trial_that_was_stopped_before_its_first_validation_has_no_score(
    study: Any, environment: Environment
) -> None:
    study.create()
    study.first_trial()
    study.ask("bayes-0003", f=4, r_frames=30, alpha2=2.0)
    study.append(TrialStopped, trial="bayes-0003", reason="stopped by the user")
    record(study, environment)
    run = runs_of(study, environment)["bayes-0003"]
    assert (run.info.status, run.data.tags["hpo.status"]) == ("KILLED", "stopped")
    assert run.data.metrics == {} and run.data.tags["hpo.best"] == "false"
    assert "**Stopped early** after 0 epochs: stopped by the user." in run.data.tags["mlflow.note.content"]


def test_hyperparameters_stand_under_the_symbols_of_the_paper(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    assert runs_of(study, environment)["bayes-0000"].data.params == {
        "f": "16",
        "r": "80",
        "alpha2": "5.0",
        "tau_max": "0.9",
        "K4.goal": "90.0",
        "seed": "7",
    }


def test_every_validation_is_one_point_of_each_curve(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    metrics = everything_in(study, environment)["bayes-0002"]["metrics"]
    assert [(step, value) for step, _, value in metrics["average_map"]] == [
        (20, "0.3"),
        (40, "0.4"),
        (60, "0.35"),
    ]
    assert [step for step, _, _ in metrics["ap/yellow-_x3E_red-card"]] == [20, 40, 60]
    assert [(step, value) for step, _, value in metrics["score"]] == [(61, "0.4")]
    assert [value for _, _, value in metrics["train_s"]] == ["60.0", "120.0", "180.0"]
    failed = everything_in(study, environment)["bayes-0001"]["metrics"]
    assert [value for _, _, value in failed["average_map"]] == ["nan"]


def test_score_of_a_trial_is_that_of_its_best_validation_whatever_the_task_calls_its_metrics(
    study: Any, environment: Environment
) -> None:
    study.create()
    study.ask("bayes-0000", f=16)
    for epoch, score in ((1, 0.4), (2, 0.9), (3, 0.1)):
        study.append(TrialReported, trial="bayes-0000", epoch=epoch, metrics={"score": score}, train_s=1.0)
    study.finish("bayes-0000", 2, 0.9)
    record(study, environment)
    assert runs_of(study, environment)["bayes-0000"].data.metrics["score"] == 0.9
    validations = recorded_trial(environment, f"{study.name}/bayes-0000").validations
    assert {epoch: metrics["score"] for epoch, metrics in validations.items()} == {1: 0.4, 2: 0.9, 3: 0.1}


def test_failed_trial_is_last_in_the_table_whatever_the_task_calls_its_metrics(
    study: Any, environment: Environment
) -> None:
    study.create()
    for trial, score in (("bayes-0000", 0.9), ("bayes-0001", 0.4)):
        study.ask(trial, f=16)
        study.append(TrialReported, trial=trial, epoch=1, metrics={"score": score}, train_s=1.0)
    study.append(TrialFailed, trial="bayes-0000", reason="no memory")
    study.finish("bayes-0001", 1, 0.4)
    record(study, environment)
    experiment = experiment_of(study, environment).experiment_id
    trials = "tags.`hpo.trial` LIKE '%'"
    table = client_of(environment).search_runs([experiment], trials, order_by=["metrics.`score` DESC"])
    assert [run.info.run_name for run in table] == ["bayes-0001", "bayes-0000"]


def test_the_best_trial_is_marked_and_its_score_is_the_stages(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    everything = everything_in(study, environment)
    marks = {name: run["tags"].get("hpo.best") for name, run in everything.items()}
    assert marks == {"bayes": None, "bayes-0000": "false", "bayes-0001": "false", "bayes-0002": "true"}
    assert everything["bayes"]["tags"]["hpo.best_trial"] == "bayes-0002"
    scores = [(step, value) for step, _, value in everything["bayes"]["metrics"]["score"]]
    assert scores == [(1, "0.2"), (3, "0.4"), (3, "0.4")], "the last one at the end of the stage"


def test_what_a_stage_chose_is_marked_and_is_its_score_until_the_search_continues(
    study: Any, environment: Environment
) -> None:
    def shown() -> tuple[list[str], str, float]:
        runs = runs_of(study, environment)
        best = [name for name, run in runs.items() if run.data.tags.get("hpo.best") == "true"]
        stage = runs["bayes"].data
        return best, stage.tags["hpo.best_trial"], stage.metrics["score"]

    study.create()
    study.append(StageAsked, stage="bayes", settings={})
    for trial, f, score in (("bayes-0000", 16, 0.6), ("bayes-0001", 8, 0.9)):
        study.ask(trial, f=f)
        study.report(trial, 40, score)
        study.finish(trial, 40, score)
    chosen = {"best_trial": "bayes-0000", "role": "bayes-0000", "chosen": {"f": 16}}
    expected = {"bayes-0000": (0.55, 0.1), "bayes-0001": (0.5, 0.1)}
    study.append(StageFinished, stage="bayes", expected=expected, **chosen)
    record(study, environment)
    assert shown() == (["bayes-0000"], "bayes-0000", 0.6)
    study.append(StageExtended, stage="bayes", settings={}, trials=3)
    record(study, environment)
    assert shown() == (["bayes-0001"], "bayes-0001", 0.9)


def test_scores_on_the_test_split_stand_beside_those_of_the_validation(
    study: Any, environment: Environment
) -> None:
    study.whole()
    study.append(TrialTested, trial="bayes-0002", metrics={"average_map": 0.35, "ap/goal": 0.5})
    record(study, environment)
    metrics = runs_of(study, environment)["bayes-0002"].data.metrics
    assert (metrics["test/average_map"], metrics["test/ap/goal"], metrics["score"]) == (0.35, 0.5, 0.4)


def test_names_of_all_that_is_recorded_are_in_the_reference(study: Any, environment: Environment) -> None:
    study.whole()
    study.append(TrialTested, trial="bayes-0002", metrics={"average_map": 0.35})
    record(
        study,
        environment,
        importance_of=lambda state, stage: {"f": 1.0},
        figures_of=lambda state, stage: FigureFiles(files={"history.png": b"figure"}),
    )
    runs = everything_in(study, environment).values()
    for kind, meanings in {"metrics": names.METRICS, "files": names.ARTIFACTS}.items():
        described = "|".join(re.sub("[A-Z]{2,}", ".+", name).rstrip("/") for name in meanings)
        recorded = {name for run in runs for name in run[kind]}
        assert len(recorded) >= 6
        assert not [name for name in recorded if not re.fullmatch(described, name)]


def test_a_run_says_where_it_comes_from(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    everything = everything_in(study, environment)
    for name, run in everything.items():
        assert run["data"] == [("wyscout/EVENTS", ("ab" * 32)[:36])], name
        assert run["tags"]["hpo.data_digest"] == "ab" * 32
        assert run["tags"]["hpo.code_digest"] == "cd" * 20
        assert run["tags"]["hpo.stage"] == "bayes"
    assert everything["bayes-0000"]["tags"]["hpo.versions"] == "torch 2.13, ray 2.60"
    assert everything["bayes"]["tags"]["hpo.versions"] == "torch 2.13.1"
    assert everything["bayes-0000"]["tags"]["hpo.device"] == "cpu"
    assert everything["bayes-0000"]["files"] == ["best.pt", "config.json"]
    assert everything["bayes-0001"]["files"] == []
    assert everything["bayes"]["files"] == ["settings.json", "space.json", "study.json"]
    assert everything["bayes-0000"]["tags"]["hpo.threads"] == "2"
    assert everything["bayes-0000"]["tags"]["hpo.replicate"] == "0"


def test_a_run_is_described_in_words(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    notes = {
        name: run["tags"]["mlflow.note.content"] for name, run in everything_in(study, environment).items()
    }
    assert notes["bayes-0002"] == (
        "Trial of stage `bayes` in study `STUDY`, seed 7.\n\n"
        "**Average-mAP 0.4000** on the validation split at epoch 40, after 1.5 minutes on cpu of laptop.\n\n"
        "| hyperparameter | value |\n|---|---|\n| f | 8 |\n| r_frames | 40 |\n| alpha2 | 1 |"
    )
    assert "**Failed**: loss is NaN at epoch 21" in notes["bayes-0001"]
    assert notes["bayes"].startswith(
        "Stage `bayes` of study `STUDY` over f, r: 2 of 3 trials finished, 1 failed.\n\n"
        "Best so far: **bayes-0002**, 0.4000 with one seed.\n\n**Average-mAP 0.4000**"
    )


def test_the_pages_are_told_which_columns_to_show(study: Any, environment: Environment) -> None:
    study.create()
    study.first_trial()
    record(study, environment)
    view = json.loads(experiment_of(study, environment).tags["mlflow.sharedViewState.bayes"])
    assert {"metrics.`score`", "params.`f`", "params.`r`", "tags.`hpo.status`"} <= set(
        view["selectedColumns"]
    )
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`score`", False)
    found = client_of(environment).search_runs(
        [experiment_of(study, environment).experiment_id], view["searchFilter"]
    )
    # The run of the stage does not stand among its trials.
    assert [run.info.run_name for run in found] == ["bayes-0000"]


def test_list_of_experiments_shows_status_trials_and_best(study: Any, environment: Environment) -> None:
    def shown() -> list[str]:
        tags = experiment_of(study, environment).tags
        assert tags["mlflow.note.content"].startswith(
            f"{tags['hpo.status'].capitalize()}, {tags['hpo.trials']}, best "
        )
        return [tags[f"hpo.{name}"] for name in ("status", "trials", "best")]

    study.create()
    record(study, environment)
    assert shown() == ["running", "no trial ended", "-"]
    study.first_trial()
    study.stopped_trial()
    study.interrupted_trial()
    record(study, environment)
    assert shown() == ["interrupted", "1 finished, 1 stopped", "0.3000 with one seed: bayes-0003"]
    study.resumed_trial()
    record(study, environment)
    assert shown()[0] == "running"


def test_an_interrupted_study_leaves_no_run_running(study: Any, environment: Environment) -> None:
    study.create()
    study.first_trial()
    study.interrupted_trial()
    record(study, environment)
    statuses = {name: run.info.status for name, run in runs_of(study, environment).items()}
    assert statuses == {"bayes": "KILLED", "bayes-0000": "FINISHED", "bayes-0002": "KILLED"}
    study.resumed_trial()
    record(study, environment)
    runs = runs_of(study, environment)
    assert (runs["bayes"].info.status, runs["bayes"].data.tags["hpo.status"]) == ("RUNNING", "running")
    assert runs["bayes-0002"].info.status == "FINISHED"


def test_a_trial_that_waits_is_scheduled(study: Any, environment: Environment) -> None:
    study.create()
    study.ask("bayes-0000", f=16)
    record(study, environment)
    assert runs_of(study, environment)["bayes-0000"].info.status == "SCHEDULED"


@pytest.mark.parametrize("at_once", [True, False])
def test_every_attempt_at_a_trial_has_a_run_of_its_own_and_the_last_is_the_trials(
    study: Any, environment: Environment, at_once: bool
) -> None:
    study.whole()
    if not at_once:
        record(study, environment)
    study.append(StageRetried, stage="bayes")
    if not at_once:
        record(study, environment)
        runs = runs_of(study, environment)
        assert runs["bayes"].info.status == "RUNNING"
        waiting = runs["bayes-0001"]
        assert (waiting.info.status, waiting.data.tags["hpo.status"]) == ("SCHEDULED", "asked")
        assert (waiting.data.metrics, waiting.data.params["f"]) == ({}, "64")
    study.start("bayes-0001")
    study.report("bayes-0001", 10, 0.25)
    study.finish("bayes-0001", 10, 0.25)
    record(study, environment)
    runs = runs_of(study, environment)
    failed, again = runs["bayes-0001 (attempt 1)"], runs["bayes-0001"]
    assert (failed.info.status, failed.data.tags["hpo.reason"]) == ("FAILED", "loss is NaN at epoch 21")
    assert (failed.data.tags["hpo.trial"], "score" in failed.data.metrics) == (failed.info.run_name, False)
    assert (again.info.status, again.data.metrics["average_map"]) == ("FINISHED", 0.25)
    assert "hpo.reason" not in again.data.tags
    assert list(recorded_trial(environment, f"{study.name}/bayes-0001").validations) == [10]
    assert runs["bayes"].data.metrics["score"] == 0.4


def test_hundreds_of_hyperparameters_fit(study: Any, environment: Environment) -> None:
    study.create()
    study.ask("bayes-0000", **{f"K1_frames.class-{number}": -20 for number in range(250)})
    record(study, environment)
    assert len(runs_of(study, environment)["bayes-0000"].data.params) == 250 + 4


def test_trials_of_the_best_mean_are_marked_and_not_those_of_the_luckiest_seed(
    study: Any, environment: Environment
) -> None:
    study.create()
    for number, (f, score) in enumerate([(16, 0.9), (16, 0.1), (8, 0.6), (8, 0.6)]):
        study.ask(f"bayes-000{number}", f=f)
        study.report(f"bayes-000{number}", 40, score)
        study.finish(f"bayes-000{number}", 40, score)
    record(study, environment)
    everything = everything_in(study, environment)
    marks = [everything[f"bayes-000{number}"]["tags"]["hpo.best"] for number in range(4)]
    assert marks == ["false", "false", "true", "true"]
    stage = everything["bayes"]
    assert stage["tags"]["hpo.best_trial"] == "bayes-0002"
    assert [(step, value) for step, _, value in stage["metrics"]["score"]] == [
        (1, "0.9"),
        (2, "0.5"),
        (4, "0.6"),
    ]
    assert "**bayes-0002**, 0.6000 ± 0.0000 (95 %, 2 seeds)" in stage["tags"]["mlflow.note.content"]
