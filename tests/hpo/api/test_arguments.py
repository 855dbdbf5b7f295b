"""Arguments of hpo.run: what cannot be used is one error, before a study is made, with advice to follow."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpo
from hpo.api import launching
from hpo.api.another_study import another_search
from hpo.api.arguments import points_of, require_main_thread
from hpo.api.functions import plan, run
from hpo.api.launching import Launch, Prepared
from hpo.api.options import Options, launch_of
from hpo.api.study import Study
from hpo.config.environment import Environment, read_environment
from hpo.config.point_file import read_points
from hpo.journal.events import BudgetSet, StageAsked, StageStarted
from hpo.journal.journal import Journal
from hpo.study.folders import study_folder
from hpo.study.plan import StageRequest, StudyPlan, StudyRequest, refuse_options_of_other_tasks
from hpo.study.running.preparing import creation
from hpo.tasks.base.registry import load_study
from hpo.tasks.calf.presentation.commands import COMMANDS


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"seed": -1}, "expected seed as a whole number from 0 to"),
        ({"seed": "x"}, "expected seed as a whole number from 0 to .*, got 'x'"),
        ({"callbacks": [5]}, r"expected callbacks as a list of functions, got \[5\]"),
        ({"callbacks": print}, "expected callbacks as a list of functions, got <built-in"),
        ({"games": (4, 0)}, "expected games as two whole numbers above 0"),
        ({"games": 5}, r"expected games as two whole numbers above 0, such as \(60, 30\), got 5"),
        ({"games": ("4", "2")}, "expected games as two whole numbers above 0"),
        ({"hours": "2"}, "expected hours as a number, got '2'"),
        ({"until": 5}, 'expected until as a text such as "18:00", got 5'),
        ({"notify": 5}, "expected notify as an address or a list of addresses, got 5"),
        ({"space": [("lr", 1)]}, r"expected space as a table such as .*, got \[\('lr', 1\)\]"),
        ({"points": 5}, "expected points as a list of points, or a file of points, got 5"),
        ({"study": 5}, "expected study as a text, got 5"),
        ({"data": 5}, "expected data as a text or a path, got 5"),
    ],
)
def test_argument_that_cannot_be_used_is_one_error(
    wrong: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("HPO_RUNS", str(tmp_path / "runs"))
    for function in (run, plan):
        with pytest.raises(hpo.ConfigError, match=complaint):
            function("bayes", **wrong)
    assert not (tmp_path / "runs").exists()


def test_points_may_have_numbers_of_numpy() -> None:
    points = points_of([{"f": np.int64(8), "beta": np.float32(0.5), "k": "a"}])
    assert points is not None
    (row,) = points.rows
    assert row == {"f": 8, "beta": 0.5, "k": "a"} and [type(v) for v in row.values()] == [int, float, str]


def study_in(tmp_path: Path) -> Study:
    """A study whose folder is empty, so that reading its journal would be another error."""
    return Study(tmp_path / "none", read_environment({"HPO_RUNS": str(tmp_path)}))


def test_study_runs_and_resumes_in_the_main_thread_only(tmp_path: Path) -> None:
    require_main_thread()
    raised: list[Exception] = []

    def call(function: Callable[[], object]) -> None:
        try:
            function()
        except hpo.UserError as error:
            raised.append(error)

    for function in (run, study_in(tmp_path).resume):
        thread = threading.Thread(target=call, args=[function], name="worker")
        thread.start()
        thread.join()
    for error in raised:
        assert "a study needs the main thread of its process, got the thread worker" in str(error)
    assert len(raised) == 2


@pytest.mark.parametrize(("name", "wrong"), [("callbacks", [5]), ("hours", "2"), ("notify", 5)])
def test_arguments_of_resume_are_checked_before_the_study_is_opened(
    name: str, wrong: Any, tmp_path: Path
) -> None:
    with pytest.raises(hpo.ConfigError, match=f"expected {name} as "):
        study_in(tmp_path).resume(**{name: wrong})


SEARCH = StageRequest(name="bayes")


def advice(plan: StudyPlan, environment: Environment, search: StageRequest = SEARCH) -> str:
    typed = StudyRequest(study_file="", data="/games", seed=3)
    return another_search(plan, typed, search, environment, COMMANDS)


def with_file(plan: StudyPlan, name: str) -> StudyPlan:
    return replace(plan, study=load_study(name))


def test_study_file_is_named_unless_the_command_takes_the_same_one(
    small_plan: StudyPlan, environment: Environment
) -> None:
    assert advice(small_plan, environment).endswith("--study-file FILE --seed 3")
    usual = with_file(small_plan, "calf")
    assert "--study-file" not in advice(usual, environment)
    assert "--study-file FILE" in advice(with_file(small_plan, "calf-v2"), environment)
    other_trials = usual.with_stage("bayes", {**usual.study.stages.named("bayes").model_dump(), "trials": 9})
    assert "--study-file FILE" in advice(other_trials, environment)


def test_options_of_the_search_are_kept(
    small_plan: StudyPlan, environment: Environment, tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    points.write_text("f\n4\n")
    options = {"trials": 9, "stop_when": "unlikely", "searcher": None}
    search = StageRequest(name="bayes", options=options, tried=read_points(points), bounds=["f=2..40"])
    words = f"--trials 9 --stop-when unlikely --try {points} --space f=2..40"
    assert advice(small_plan, environment, search).endswith(words)
    in_python = StageRequest(name="bayes", bounds={"f": (2, 40), "beta": [0.1, 1], "alpha2": 3})
    assert advice(small_plan, environment, in_python).endswith(
        "--space f=2..40 --space beta=0.1,1 --space alpha2=3"
    )


@pytest.mark.parametrize(
    ("task", "option", "typed"),
    [("calf", "--skip-missing", {"skip_missing": True}), ("bmn", "--labels", {"labels": "v1"})],
)
def test_option_that_the_task_lacks_is_in_no_advice(task: str, option: str, typed: dict[str, object]) -> None:
    request = replace(StudyRequest(study_file="", data="/games"), **typed)
    with pytest.raises(hpo.ConfigError, match=f"the task {task} has no option {option}; leave it out"):
        refuse_options_of_other_tasks(load_study(task), request)


@pytest.fixture
def generated() -> list[Path]:
    """Folders of the data sets that ``launch`` would generate."""
    return []


@pytest.fixture
def launch(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, generated: list[Path]
) -> Callable[..., Launch]:
    """Function that resolves options of ``hpo.run``, without data in the usual folder."""
    monkeypatch.setenv("HPO_RUNS", str(environment.runs))
    monkeypatch.setenv("HPO_DATA", str(environment.runs / "none"))
    demo = replace(COMMANDS.demo, make=lambda folder, *_: generated.append(folder))
    return lambda **typed: launch_of(replace(COMMANDS, demo=demo), Options(**typed), dry_run=True)


def begun(plan: StudyPlan, environment: Environment, name: str) -> None:
    """Make a study that has begun and asked for nothing."""
    folder = study_folder(environment, name)
    with Journal.create(folder) as journal:
        journal.append(creation(plan, folder))


class OpenedError(Exception):
    """The data of a new study are to be opened."""


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[StudyRequest]:
    """Requests of the new studies whose data would be opened."""
    requests: list[StudyRequest] = []

    def make_plan(request: StudyRequest, *_: object, **__: object) -> None:
        requests.append(request)
        raise OpenedError

    monkeypatch.setattr(launching, "make_plan", make_plan)
    return requests


def test_study_of_an_earlier_version_with_the_name_paper_lends_nothing_to_the_papers_configuration(
    small_plan: StudyPlan,
    environment: Environment,
    launch: Callable[..., Launch],
    requested: list[StudyRequest],
) -> None:
    begun(small_plan, environment, "paper")
    run = launch()
    for source in ("paper", "paper/bayes-0001"):
        with pytest.raises(OpenedError):
            run.run_stage("final", {}, "new", source)
    assert requested[0].data == run.request.data != requested[1].data == small_plan.data


def test_features_of_a_study_that_exists_need_no_data_and_those_of_a_new_one_do(
    small_plan: StudyPlan, environment: Environment, launch: Callable[..., Launch]
) -> None:
    features = launch(features="resnet")
    for call in (lambda: features.search({}, "new"), lambda: features.run_stage("final", {}, None, None)):
        with pytest.raises(hpo.ConfigError, match="no data folder: neither --data nor"):
            call()
    begun(small_plan, environment, "old")
    with pytest.raises(hpo.ConfigError, match=r"was started with features .*, got features resnet"):
        features.search({}, "old")
    same = launch(features=small_plan.features).search({"trials": 2}, "old")
    assert isinstance(same, Prepared) and same.name == "old"


def test_demo_data_are_generated_only_for_a_study_that_uses_them(
    small_plan: StudyPlan,
    environment: Environment,
    launch: Callable[..., Launch],
    requested: list[StudyRequest],
    generated: list[Path],
) -> None:
    begun(small_plan, environment, "old")
    with pytest.raises(OpenedError):
        launch().run_stage("final", {}, "new", "old")
    assert requested[0].data == small_plan.data and not generated
    with pytest.raises(OpenedError):
        launch(seed=7).search({}, "new")
    assert [str(folder) for folder in generated] == [requested[1].data]


def test_labels_that_the_data_decided_may_be_named_again(
    small_plan: StudyPlan, environment: Environment, launch: Callable[..., Launch]
) -> None:
    decided = replace(small_plan, shape=replace(small_plan.shape, labels="v1"))
    begun(decided, environment, "old")
    with pytest.raises(hpo.ConfigError, match="was started with labels v1, got labels v2"):
        launch(labels="v2").search({}, "old")
    with pytest.raises(hpo.ConfigError, match="was started with seed 4, got seed 5"):
        launch(labels="v1", seed=5).search({}, "old")


def test_empty_names_are_refused_not_taken_for_none(
    small_plan: StudyPlan, launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(hpo.ConfigError, match="the name or the path of a study file, got an empty text"):
        launch(study_file="")
    monkeypatch.setattr(launching, "make_plan", lambda *_, **__: small_plan)
    with pytest.raises(hpo.UserError, match="expected a plain file name as the name of a study, got ''"):
        launch().search({}, "")


def test_labels_of_data_without_versions_are_refused(
    small_plan: StudyPlan, environment: Environment, launch: Callable[..., Launch]
) -> None:
    begun(small_plan, environment, "old")
    with pytest.raises(
        hpo.ConfigError, match="the data of study 'old' have no versions of labels"
    ) as refused:
        launch(labels="v2").run_stage("final", {}, "old", None)
    assert refused.value.details == {"fix": "leave --labels out"}


def test_advice_for_other_features_names_the_data_that_the_new_study_would_lack(
    small_plan: StudyPlan, environment: Environment, launch: Callable[..., Launch]
) -> None:
    begun(small_plan, environment, "old")
    start = "hpo run final --from old --study NEW"
    for typed, ending in (
        ({"features": "resnet"}, f" --data {small_plan.data} --study-file FILE"),
        ({"seed": 5}, ""),
    ):
        with pytest.raises(hpo.ConfigError) as refused:
            launch(**typed).run_stage("final", {}, "old", None)
        assert str(refused.value.details["fix"]).endswith(f"{start}{ending}")


def test_study_of_another_task_lends_nothing_and_advice_does_not_start_from_it(
    small_plan: StudyPlan,
    environment: Environment,
    launch: Callable[..., Launch],
    requested: list[StudyRequest],
) -> None:
    begun(small_plan, environment, "old")
    usual = launch()
    other = replace(usual, has_study_file=True, request=replace(usual.request, study_file="bmn-demo"))
    with pytest.raises(OpenedError):
        other.run_stage("final", {}, "new", "old")
    assert requested == [other.request]
    for typed, data in (({}, ""), ({"data": Path("/videos")}, " --data /videos")):
        run = replace(launch(**typed), has_study_file=True)
        run = replace(run, request=replace(run.request, study_file="bmn-demo"))
        with pytest.raises(hpo.ConfigError) as refused:
            run.run_stage("final", {}, "old", None)
        command = f"hpo run final --from paper --study NEW --study-file bmn-demo{data}"
        assert str(refused.value.details["fix"]).endswith(f"start another study with it: {command}")


def test_warm_start_that_a_search_had_may_be_named_again(
    small_plan: StudyPlan, environment: Environment, launch: Callable[..., Launch]
) -> None:
    begun(small_plan, environment, "old")
    with pytest.raises(hpo.ConfigError, match="--warm-start is for a new study, and 'old' exists"):
        launch().search({"trials": 3}, "old", warm_start="older")
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    known = {"study": "older", "points": [{"parameters": {"f": 9}, "score": 0.5}]}
    with Journal.open(study_folder(environment, "old")) as journal:
        journal.append(StageAsked(stage="bayes", settings=settings, known=known))
        journal.append(StageStarted(stage="bayes", space={}, trials=2))
    same = launch().search({"trials": 3}, "old", warm_start="older")
    assert isinstance(same, Prepared) and same.stages[0].asked.known == known
    with pytest.raises(hpo.ConfigError, match="--warm-start is for a new study, and 'old' exists"):
        launch().search({"trials": 3}, "old", warm_start="other")


def test_arguments_may_have_numbers_of_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    typed: dict[str, Any] = {}

    def search(launch: Launch, options: dict[str, Any], *_: object, **__: object) -> None:
        typed.update(options, seed=launch.request.seed, counts=launch.request.counts)
        raise OpenedError

    monkeypatch.setenv("HPO_RUNS", str(tmp_path))
    monkeypatch.setattr(Launch, "search", search)
    six = np.int64(6)
    with pytest.raises(OpenedError):
        plan("bayes", trials=six, seed=six, games=(six, six), concurrent=six)
    assert typed == {"trials": 6, "epochs": None, "concurrent": 6, "seed": 6, "counts": (6, 6)}
    plain = [typed["trials"], typed["concurrent"], typed["seed"], *typed["counts"]]
    assert {type(number) for number in plain} == {int}


def test_hours_of_resume_may_be_a_number_of_numpy(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(small_plan, environment, "old")
    budgets: list[BudgetSet] = []

    def resume_study(*_: object, budget: BudgetSet, **__: object) -> None:
        budgets.append(budget)
        raise OpenedError

    monkeypatch.setattr("hpo.api.resuming.resume_study", resume_study)
    with pytest.raises(OpenedError):
        Study(study_folder(environment, "old"), environment).resume(hours=np.int64(2))
    assert type(budgets[0].hours) is int
