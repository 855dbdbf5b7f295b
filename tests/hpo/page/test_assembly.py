import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import (
    Event,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.page.assembly import study_page
from hpo.page.rerun import commands, start_files, study_file_toml
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.tasks.base.registry import parse_study

SPACE = {"f": {"type": "int", "low": 2, "high": 9, "log": False}}


def begun(plan: StudyPlan, name: str) -> list[Event]:
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    return [
        StudyCreated(
            study=name, plan=plan.to_json(), seed=plan.seed, data_digest="d", code_digest="c", versions={}
        ),
        StageAsked(stage="bayes", settings=settings),
        StageAsked(stage="final", settings={"seeds": 3}, start={"f": 4, "r_frames": 40}),
        StageStarted(stage="bayes", space=SPACE, trials=2, epochs=2),
    ]


def trained(number: int, score: float | None) -> list[Event]:
    name = f"bayes-{number:04d}"
    events: list[Event] = [
        TrialAsked(trial=name, stage="bayes", parameters={"f": 2 + number}, seed=4),
        TrialStarted(trial=name, host="laptop", device="cpu"),
    ]
    if score is None:
        return [*events, TrialFailed(trial=name, reason="NaN in <b>epoch 1</b>")]
    metrics = {"average_map": score, "ap/goal": score, "ap/card": score, "ap/substitution": score}
    return [
        *events,
        TrialReported(trial=name, epoch=2, metrics=metrics, train_s=3600.0),
        TrialFinished(trial=name, score=score, epoch=2, duration_s=3600.0),
    ]


def write(environment: Environment, name: str, events: list[Event]) -> None:
    with Journal.create(study_folder(environment, name)) as journal:
        for event in events:
            journal.append(event)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    runs = tmp_path / "runs"
    # A server at which nobody listens: the page must come all the same.
    return Environment(runs=runs, cache=tmp_path / "cache", data=tmp_path, tracking_uri="http://127.0.0.1:9")


def test_name_of_a_study_stays_as_it_is(environment: Environment, small_plan: StudyPlan) -> None:
    write(environment, "MyStudy", begun(small_plan, "MyStudy"))
    assert study_page(environment, "MyStudy").summary.startswith("Stopped; resume with: hpo resume MyStudy;")


def test_study_that_has_only_begun_has_a_page(environment: Environment, small_plan: StudyPlan) -> None:
    write(environment, "young", begun(small_plan, "young")[:1])
    html = study_page(environment, "young").html()
    assert "no trial has a score yet" in html and "No trial failed" in html


def test_page_tells_score_failure_and_cost(environment: Environment, small_plan: StudyPlan) -> None:
    write(environment, "s", [*begun(small_plan, "s"), *trained(1, 0.25), *trained(2, 0.5), *trained(3, None)])
    page = study_page(environment, "s")
    assert page.summary.endswith(
        "best so far in stage bayes, by Average-mAP on the validation split: 0.5000 by bayes-0002 (f 4)."
    )
    assert page.failures.rows == [["bayes-0003", "NaN in <b>epoch 1</b>"]]
    assert list(page.cost.rows[0])[:3] == ["bayes", "3", "2 h 00 min"]
    assert "NaN in &lt;b&gt;epoch 1" in page.html()
    assert page.analyses.remark == "Not available: MLflow at 127.0.0.1:9 does not answer."


def test_page_names_the_command_beyond_the_edge_of_the_space(
    environment: Environment, small_plan: StudyPlan
) -> None:
    lower = (event for number in range(1, 5) for event in trained(number, 0.25))
    write(environment, "s", [*begun(small_plan, "s"), *lower, *trained(7, 0.5)])
    (section, *_) = study_page(environment, "s").stages
    assert section.remarks[-1] == "to search beyond it: hpo run bayes --study s --space f=2..10"


def test_what_a_stage_handed_on_is_the_best_configuration(
    environment: Environment, small_plan: StudyPlan
) -> None:
    end = StageFinished(
        stage="bayes", best_trial="bayes-0001", chosen={"f": 3, "r_frames": 40}, role="bayes-0001"
    )
    write(environment, "s", [*begun(small_plan, "s"), *trained(1, 0.25), end])
    page = study_page(environment, "s")
    assert page.best.rows == [["f", "3"], ["r", "40"]]
    assert "chosen in stage bayes" in page.summary
    assert page.summary.endswith("0.2500 by bayes-0001 (f 3).")


def test_written_study_file_reads_back_as_the_study(small_plan: StudyPlan) -> None:
    state = StudyState.replay(begun(small_plan, "s"))
    written = parse_study(tomllib.loads(study_file_toml(small_plan, state)), file="again.toml")
    assert written.stages.final.seeds == 3
    asked = small_plan.study.model_dump(mode="json", by_alias=True)
    asked["stages"]["final"] = {"seeds": 3}
    assert written == parse_study(asked, file="asked")


def test_commands_begin_a_study_with_the_same_data_and_go_on_with_it(small_plan: StudyPlan) -> None:
    state = StudyState.replay([*begun(small_plan, "my study"), *trained(1, 0.25)])
    first, second, *rest = (shlex.split(line) for line in commands(small_plan, state, file="s.toml"))
    assert first[:5] == ["hpo", "run", "bayes", "--study", "my study-again"]
    assert first[first.index("--games") + 1] == "1,5" and first[first.index("--seed") + 1] == "4"
    assert second == ["hpo", "run", "final", "--study", "my study-again", "--from", "./start-final.json"]
    assert rest == [
        ["hpo", "compare", "my study", "my study-again"],
        ["hpo", "reproduce", "my study/bayes-0001"],
    ]
    remote = replace(small_plan, data="s3://bucket/games")
    known = {"study": "older", "points": []}
    warm = StudyState.replay(begun(small_plan, "s"))
    warm.asked["bayes"] = replace(warm.asked["bayes"], known=known)
    words = shlex.split(commands(remote, warm, file="s.toml")[0])
    assert words[words.index("--data-uri") + 1] == "s3://bucket/games" and "--data" not in words
    assert words[words.index("--warm-start") + 1] == "older"
    assert start_files(state) == {"start-final.json": '{\n  "f": 4,\n  "r": 40\n}'}


def test_commands_name_the_folder_of_an_external_task_first(
    small_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.page.rerun.external_task_code", lambda _: Path("/home/me/my tasks/ridge.py"))
    first, second, *_ = commands(small_plan, StudyState.replay(begun(small_plan, "s")), file="s.toml")
    assert shlex.split(first) == ["export", "PYTHONPATH=/home/me/my tasks"]
    assert second.startswith("hpo run bayes")


def test_page_without_analyses_names_the_trial_whose_analyses_it_would_show(
    environment: Environment, small_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.page.assembly.attached_pictures", lambda *_: {})
    write(environment, "s", [*begun(small_plan, "s"), *trained(1, 0.25), *trained(2, 0.5)])
    remark = study_page(environment, "s").analyses.remark
    assert remark == "None yet of bayes-0002. Create them with: hpo report s --analyse"
