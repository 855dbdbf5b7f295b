"""A stage from its start to its end, whose trials end without training."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import BudgetEnded, BudgetSet, StageAsked, StageFinished, TrialTested
from hpo.journal.journal import Journal
from hpo.journal.ranking import Expected
from hpo.journal.results import StudyState
from hpo.programs.program import Choice
from hpo.programs.search import SearchProgram
from hpo.schedule.local_ray import WorkersLostError
from hpo.study.folders import study_folder
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.running import stage
from hpo.study.running.preparing import creation
from hpo.study.running.runner import StageRunner
from hpo.study.running.stage import MOST_LOSSES, StageRun
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import ConfigError
from model.training.outcomes import FailedError

EPOCH_S = 1000.0


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def journal(small_plan: StudyPlan, environment: Environment) -> Iterator[Journal]:
    folder = study_folder(environment, "demo")
    with Journal.create(folder) as journal:
        journal.append(creation(small_plan, folder))
        yield journal


def ask(journal: Journal, plan: StudyPlan, environment: Environment, name: str, **options: object) -> None:
    settings = stage_settings(plan, StageRequest(name=name, options=options), environment)
    journal.append(StageAsked(stage=name, settings=settings))


def run_on(journal: Journal, plan: StudyPlan, environment: Environment, name: str) -> StageRun:
    """The stage as a new session finds it in the journal."""
    return StageRun(plan, name, journal, StudyState.replay(journal.events()), environment, silent)


def validate(source: StageRunner, spec: TrialSpec, epoch: int) -> None:
    report = Report(epoch=epoch, metrics={"average_map": 0.25}, train_s=EPOCH_S * epoch, score=0.25)
    source.reported(spec.trial, report)


def train_all(source: StageRunner) -> None:
    """In the place of Ray: train as many trials as the stage proposes, for two epochs each."""
    while isinstance(spec := source.next_spec(), TrialSpec):
        for epoch in range(spec.reported_epoch + 1, 3):
            validate(source, spec, epoch)
        source.finished(spec.trial)


def test_lost_processes_end_no_study_that_gets_on_in_between(
    small_plan: StudyPlan, journal: Journal, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [True] * MOST_LOSSES

    def train(source: StageRunner, *_: object, **__: object) -> None:
        if left:
            left.pop()
            spec = source.next_spec()
            assert isinstance(spec, TrialSpec)
            validate(source, spec, spec.reported_epoch + 1)
            raise WorkersLostError("a machine was nearly out of memory")
        train_all(source)

    monkeypatch.setattr(stage, "run_trials", train)
    monkeypatch.setattr(stage, "RECOVERY_S", 0.0)
    ask(journal, small_plan, environment, "bayes", trials=MOST_LOSSES)
    run = run_on(journal, small_plan, environment, "bayes")
    run.finish()
    assert run.complete and not left


@pytest.mark.parametrize("has_validation", [True, False])
def test_search_can_end_with_its_budget_only_if_it_has_a_validation(
    small_plan: StudyPlan,
    journal: Journal,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    has_validation: bool,
) -> None:
    monkeypatch.setattr(stage, "run_trials", lambda source, *_, **__: train_all(source))
    monkeypatch.setattr(stage, "measured_trial_s", lambda *_: 1.0 if has_validation else EPOCH_S)
    ask(journal, small_plan, environment, "bayes")
    journal.append(BudgetSet(hours=EPOCH_S / 2 / 3600))
    run = run_on(journal, small_plan, environment, "bayes")
    run.finish()
    over = [event for event in journal.events() if isinstance(event, BudgetEnded)]
    assert [event.suffices for event in over] == [has_validation] and not run.complete


def test_journal_has_the_expected_scores_and_the_noise_on_which_they_rely(
    small_plan: StudyPlan, journal: Journal, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bayes-0001"
    choice = Choice(
        parameters={}, role=name, score=0.25, best_trial=name, expected={name: Expected(0.3, 0.01, 0.047)}
    )
    monkeypatch.setattr(stage, "run_trials", lambda source, *_, **__: train_all(source))
    monkeypatch.setattr(SearchProgram, "choice", lambda *_: choice)
    ask(journal, small_plan, environment, "bayes")
    run_on(journal, small_plan, environment, "bayes").finish()
    (end,) = (event for event in journal.events() if isinstance(event, StageFinished))
    assert end.expected == {name: (0.3, 0.01)} and end.noise == 0.047


def test_trial_without_a_score_on_the_test_split_is_named_and_the_others_are_tested_once(
    small_plan: StudyPlan, journal: Journal, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[str] = []
    broken = {"final-0002"}

    def test(task: object, network: Path, *_: object) -> dict[str, float]:
        if network.parent.name in broken:
            raise FailedError("the network is not finite")
        tested.append(network.parent.name)
        return {"average_map": 0.5}

    monkeypatch.setattr(stage, "run_trials", lambda source, *_, **__: train_all(source))
    monkeypatch.setattr(type(small_plan.task), "test", test)
    ask(journal, small_plan, environment, "final", seeds=3)
    with pytest.raises(ConfigError, match="final-0002 has no score on the test split: the net") as refusal:
        run_on(journal, small_plan, environment, "final").finish()
    assert refusal.value.details["fix"].endswith("continue a copy: hpo resume demo --fork NEW")
    assert tested == ["final-0001"]
    broken.clear()
    resumed = run_on(journal, small_plan, environment, "final")
    resumed.finish()
    assert resumed.complete and tested == ["final-0001", "final-0002", "final-0003"]


def test_seed_that_was_stopped_early_is_not_scored_on_the_test_split(
    small_plan: StudyPlan, journal: Journal, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(source: StageRunner, *_: object, **__: object) -> None:
        spec = source.next_spec()
        assert isinstance(spec, TrialSpec)
        validate(source, spec, 1)
        source.stopped(spec.trial)
        train_all(source)

    monkeypatch.setattr(stage, "run_trials", train)
    monkeypatch.setattr(type(small_plan.task), "test", lambda *_: {"average_map": 0.5})
    ask(journal, small_plan, environment, "final", seeds=3)
    run_on(journal, small_plan, environment, "final").finish()
    tested = [event.trial for event in journal.events() if isinstance(event, TrialTested)]
    assert tested == ["final-0002", "final-0003"]
