"""A study as an object: what it returns of a journal, and what it refuses."""

from pathlib import Path

import pytest

from hpo.api import reporting
from hpo.api.launching import Ran
from hpo.api.study import Study, study_after
from hpo.cli.studies import resume as typed_resume
from hpo.config.environment import Environment
from hpo.journal.events import (
    StageAsked,
    StageFinished,
    StageStarted,
    StudyInterrupted,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from hpo.journal.journal import Journal
from hpo.journal.results import stored_state
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.study.recorded.records import alike_failures, all_fail_sentence, failures
from hpo.study.running.pending_stages import ALL_FAIL, SessionEnd
from hpo.study.running.preparing import creation
from hpo.tracking.follower import FollowerReport
from model.errors import UserError


def started(plan: StudyPlan, environment: Environment) -> Journal:
    folder = study_folder(environment, "one")
    journal = Journal.create(folder)
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    space = plan.task.varied(plan.study, "bayes", plan.shape)
    for event in (
        creation(plan, folder),
        StageAsked(stage="bayes", settings=settings),
        StageStarted(stage="bayes", space=space, trials=2, epochs=2),
        TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 8}, seed=4),
        TrialFailed(trial="bayes-0001", reason="DivergedError: nan"),
    ):
        journal.append(event)
    return journal


@pytest.fixture
def study(small_plan: StudyPlan, environment: Environment) -> Study:
    """A study with a failed trial and a better one."""
    with started(small_plan, environment) as journal:
        for event in (
            TrialAsked(trial="bayes-0002", stage="bayes", parameters={"f": 3}, seed=4),
            TrialStarted(trial="bayes-0002", host="node7", device="cpu"),
            TrialReported(trial="bayes-0002", epoch=1, metrics=metrics(0.25), train_s=1.0),
            TrialReported(trial="bayes-0002", epoch=2, metrics=metrics(0.5), train_s=2.0),
            TrialFinished(trial="bayes-0002", score=0.5, epoch=2, duration_s=3.0),
            StageFinished(stage="bayes", best_trial="bayes-0002", chosen={"f": 3, "lambda_seg": 2.0}),
        ):
            journal.append(event)
    return Study(journal.folder, environment)


def metrics(score: float) -> dict[str, float]:
    return {"average_map": score, "ap/goal": score, "ap/card": score, "ap/substitution": score}


def test_tables_have_a_row_per_trial_and_per_validation(study: Study) -> None:
    trials = study.trials()
    assert trials["trial"].tolist() == ["bayes-0001", "bayes-0002"]
    assert trials["status"].tolist() == ["failed", "finished"]
    validations = study.validations()
    assert validations["epoch"].tolist() == [1, 2]
    assert validations["metric/average_map"].tolist() == [0.25, 0.5]


def test_tables_without_rows_have_the_columns_that_all_rows_have(
    study: Study, small_plan: StudyPlan, environment: Environment
) -> None:
    folder = study_folder(environment, "empty")
    with Journal.create(folder) as journal:
        journal.append(creation(small_plan, folder))
    empty = Study(folder, environment)
    for of_none, of_some in (
        (empty.trials(), study.trials()),
        (empty.validations(), study.validations()),
    ):
        fixed = [name for name in of_some.columns if not name.startswith(("param/", "metric/", "test/"))]
        assert list(of_none.columns) == fixed and len(of_none) == 0


def test_best_is_what_the_stage_chose(study: Study) -> None:
    best = study.best()
    assert (best.trial, best.stage, best.score, best.seeds) == ("bayes-0002", "bayes", 0.5, 1)
    assert best.half_width is None and best.is_chosen
    assert best.expected is None, "a stage of two trials has no model"
    assert best.parameters == {"f": 3, "lambda_seg": 2.0}


def test_figures_are_those_of_plotly_by_stage_and_name(study: Study) -> None:
    figures = study.figures()
    assert "bayes/history" in figures
    assert figures["bayes/history"].to_dict()["data"]


class BlankPage:
    """A page without figures, whose content does not matter."""

    identity = "id"

    def write(self, file: Path) -> None:
        file.write_text("")


def test_texts_beside_a_typed_page_have_its_name_and_replace_no_other_paper(
    study: Study, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "study_page", lambda *study: BlankPage())
    monkeypatch.setattr(reporting, "attach_page", lambda *page: "stored")
    mine = tmp_path / "paper.tex"
    mine.write_text("my own paper")
    report = reporting.write_report(environment, study.folder, tmp_path / "a.html")
    assert [file.name for file in report.texts] == ["a.paper.md", "a.paper.tex"]
    assert mine.read_text() == "my own paper" and not (study.folder / "paper.tex").exists()
    assert {*tmp_path.glob("a.*")} == {report.page, *report.texts}
    reporting.write_report(environment, study.folder)
    assert (study.folder / "paper.tex").is_file()


def test_network_of_no_trial_and_of_a_trial_without_one_is_refused(study: Study) -> None:
    with pytest.raises(UserError, match="has no trial 'bayes-0009'"):
        study.network("bayes-0009")
    with pytest.raises(UserError, match="trial one/bayes-0002 has no network"):
        study.network()


def test_a_study_without_a_score_has_no_best_and_says_why(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with started(small_plan, environment) as journal:
        unfinished = Study(journal.folder, environment)
        with pytest.raises(UserError, match="no trial with a score yet") as refused:
            unfinished.best()
    assert "DivergedError: nan" in str(refused.value)


def test_session_in_which_all_trials_fail_alike_is_an_error_with_the_reason(
    small_plan: StudyPlan, environment: Environment
) -> None:
    sent = FollowerReport(events_left=0, failure=None, refused=())

    def after() -> Ran:
        end = SessionEnd(stored_state(journal.folder), tracking=sent, ran=["bayes"])
        return Ran(plan=small_plan, folder=journal.folder, end=end, cluster=None)

    with started(small_plan, environment) as journal:
        with pytest.raises(KeyboardInterrupt):
            study_after(after(), environment)
        journal.append(StudyInterrupted(reason=ALL_FAIL))
        with pytest.raises(UserError, match="all for the same reason: DivergedError: nan") as refused:
            study_after(after(), environment)
        assert refused.value.details["fix"].endswith("hpo resume one --retry-failed")
        journal.append(StageFinished(stage="bayes", best_trial=""))
        with pytest.raises(UserError, match="no trial of stage bayes has a score; the first failure: Div"):
            study_after(after(), environment)


def test_reason_for_which_all_fail_is_that_of_the_stage_that_stopped_and_the_latest(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with started(small_plan, environment) as journal:
        journal.append(StageFinished(stage="bayes", best_trial=""), StageAsked(stage="final", settings={}))
        journal.append(StageStarted(stage="final", space={}, trials=3))
        reasons = ("the cause that was removed", "the disk is full", "the disk is full")
        for number, reason in enumerate(reasons):
            journal.append(TrialAsked(trial=f"final-{number}", stage="final", parameters={"f": 3}, seed=4))
            journal.append(TrialFailed(trial=f"final-{number}", reason=reason))
    failed = alike_failures(stored_state(journal.folder), journal.folder)
    assert all_fail_sentence(failed) == "2 trials failed, all for the same reason: the disk is full"


def test_first_failure_is_the_first_in_time(small_plan: StudyPlan, environment: Environment) -> None:
    with started(small_plan, environment) as journal:
        for name in ("bayes-0002", "bayes-0003"):
            journal.append(TrialAsked(trial=name, stage="bayes", parameters={"f": 3}, seed=4))
        journal.append(TrialFailed(trial="bayes-0003", reason="the disk is full"))
        journal.append(TrialFailed(trial="bayes-0002", reason="it was killed"))
    found = failures(stored_state(journal.folder), journal.folder)
    assert [failure["trial"] for failure in found] == ["bayes-0001", "bayes-0003", "bayes-0002"]


@pytest.mark.parametrize(
    ("typed", "place"),
    [("s3://bucket/x", "s3://bucket/x"), ("games", Path("games").absolute()), (Path("/g"), "/g")],
)
def test_data_may_have_moved_to_a_folder_or_a_uri(
    study: Study, monkeypatch: pytest.MonkeyPatch, typed: str | Path, place: str | Path
) -> None:
    places: list[str] = []

    def resume_study(*_: object, data: str, **__: object) -> None:
        places.append(data)
        raise UserError("no further")

    monkeypatch.setattr("hpo.api.resuming.resume_study", resume_study)
    monkeypatch.setenv("HPO_RUNS", str(study.folder.parent.parent))
    with pytest.raises(UserError, match="no further"):
        study.resume(data=typed)
    with pytest.raises(UserError, match="no further"):
        typed_resume(study.name, data=str(typed))
    assert places == 2 * [str(place)]
