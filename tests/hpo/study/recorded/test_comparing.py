"""Two studies or trials beside each other: what is paired, and what is not claimed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hpo.config.environment import Environment
from hpo.journal.events import (
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStopped,
    TrialTested,
    Value,
)
from hpo.journal.journal import Journal
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.study.recorded.comparing import compare_named
from hpo.tasks.calf.sections import Scoring
from model.errors import UserError
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.weights.trained import TrainedNetwork


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def environment(small_environment: Environment, tmp_path: Path) -> Environment:
    return replace(small_environment, runs=tmp_path / "runs")


class Writer:
    """Writes the journal of a study whose trials end as told."""

    def __init__(self, environment: Environment, name: str, plan: StudyPlan) -> None:
        self.folder = study_folder(environment, name)
        Journal.create(self.folder).close()
        created = StudyCreated(
            study=name,
            plan=plan.to_json(),
            seed=plan.seed,
            data_digest=plan.data_digest,
            code_digest="ab" * 32,
            versions={},
        )
        self.append(created)

    def append(self, event: object) -> None:
        with Journal.open(self.folder) as journal:
            journal.append(event)  # type: ignore[arg-type]

    def stage(self, name: str) -> None:
        self.append(StageAsked(stage=name, settings={"concurrent": 1}))
        self.append(StageStarted(stage=name, space={}, trials=9))

    def trial(
        self,
        trial: str,
        parameters: Mapping[str, Value],
        score: float,
        *,
        seed: int = 4,
        role: str = "",
        tested: float | None = None,
        end: type[TrialFinished | TrialStopped] = TrialFinished,
    ) -> None:
        stage = trial.rpartition("-")[0]
        self.append(TrialAsked(trial=trial, stage=stage, parameters=dict(parameters), seed=seed, role=role))
        metrics = {"average_map": score, "ap/goal": score}
        self.append(TrialReported(trial=trial, epoch=2, metrics=metrics, train_s=1.0))
        self.append(end(trial=trial, score=score, epoch=2, duration_s=1.0))
        if tested is not None:
            per_class = dict.fromkeys(("ap/goal", "ap/card", "ap/substitution"), tested)
            self.append(TrialTested(trial=trial, metrics={"average_map": tested, **per_class}))

    def network(self, trial: str, plan: StudyPlan, seed: int) -> None:
        config = NetworkConfig(input_size=8, classes=3, class_features=3)
        network = CalfNetwork(config, torch.Generator().manual_seed(seed))
        trained = TrainedNetwork(
            network=network, classes=plan.shape.classes, frame_rate=plan.shape.frame_rate
        )
        (self.folder / "trials" / trial).mkdir(parents=True)
        trained.save(self.folder / "trials" / trial / "best.pt")


@pytest.fixture
def one(environment: Environment, small_plan: StudyPlan) -> Writer:
    study = Writer(environment, "one", small_plan)
    study.stage("bayes")
    study.trial("bayes-0001", {"f": 3}, 0.3)
    study.trial("bayes-0002", {"f": 5}, 0.4)
    study.append(StageFinished(stage="bayes", best_trial="bayes-0002", chosen={"f": 5}))
    study.stage("final")
    for number, (seed, score) in enumerate([(105, 0.40), (106, 0.44), (107, 0.42)], start=1):
        study.trial(f"final-{number:04d}", {"f": 5}, score, seed=seed, role="found", tested=score - 0.1)
        study.trial(f"final-{number + 3:04d}", {"f": 3}, 0.1, seed=seed, role="bayes-0001")
    return study


def other(environment: Environment, plan: StudyPlan) -> Writer:
    """A study that began one seed later, so that two seeds of its final are those of ``one``."""
    study = Writer(environment, "two", plan)
    study.stage("bayes")
    study.trial("bayes-0001", {"f": 8}, 0.35)
    study.append(StageFinished(stage="bayes", best_trial="bayes-0001", chosen={"f": 8}))
    study.stage("final")
    for number, (seed, score) in enumerate([(106, 0.40), (107, 0.40), (108, 0.9)], start=1):
        study.trial(f"final-{number:04d}", {"f": 8}, score, seed=seed, role="found", tested=score)
    return study


def test_studies_are_paired_by_seed_and_configuration(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    other(environment, replace(small_plan, seed=5))
    found = compare_named("one", "two", "valid", environment, silent)
    assert found.settings == {"seed": (4, 5)}
    assert found.scores["Average-mAP"] == (0.4, 0.35)
    assert (found.parameters["best trial"], found.parameters["f"]) == (("bayes-0002", "bayes-0001"), (5, 8))
    assert found.parameters["seeds"] == (1, 1)
    rows = {row.stage: row for row in found.paired}
    final, search = rows["final"], rows["bayes"]
    assert (final.configuration, final.seeds, final.same_parameters) == ("found", 2, False)
    assert final.difference is not None
    assert final.difference.mean == pytest.approx(0.03)
    assert final.means == (pytest.approx(0.43), pytest.approx(0.40))
    assert (search.configuration, search.seeds) == ("best found", 1)
    assert found.remarks == ["one common seed gives no interval: train several seeds in both studies"]
    (tested,) = compare_named("one", "two", "test", environment, silent).paired
    assert tested.difference is not None and tested.difference.mean == pytest.approx(-0.07)


def test_winners_of_two_finals_are_compared_whatever_their_names(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    two = other(environment, small_plan)
    for seed in (106, 107):
        two.trial(f"final-1{seed}", {"f": 8, "r_s": 3.0}, 0.95, seed=seed, role="bayes-0001")
    rows = compare_named("one", "two", "valid", environment, silent).paired
    means = {row.configuration: row.means for row in rows if row.stage == "final"}
    assert means == {"found": (pytest.approx(0.43), 0.4), "best of each": (pytest.approx(0.43), 0.95)}


def test_on_other_data_nothing_is_claimed(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    other(environment, replace(small_plan, data_digest="other"))
    found = compare_named("one", "two", "valid", environment, silent)
    assert "scores cannot be compared, only shown side by side: different data" in found.remarks[0]
    assert found.paired and all(row.difference is None for row in found.paired)
    assert "data_digest" in found.settings
    trials = compare_named("one/bayes-0001", "two/bayes-0001", "valid", environment, silent)
    assert trials.networks is None and "different data" in trials.remarks[0]


def test_trials_are_compared_game_by_game(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    one.network("bayes-0001", small_plan, 1)
    one.network("bayes-0002", small_plan, 2)
    found = compare_named("one/bayes-0001", "one/bayes-0002", "valid", environment, silent)
    assert found.settings == {} and found.parameters["f"] == (3, 5)
    games = found.networks
    assert games is not None and games.items == 5
    assert games.low <= games.difference <= games.high
    assert games == compare_named("one/bayes-0001", "one/bayes-0002", "valid", environment, silent).networks
    same = compare_named("one/bayes-0001", "one/bayes-0001", "valid", environment, silent).networks
    assert same is not None and (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)


def test_test_split_is_not_opened_for_trials_that_were_not_tested(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    found = compare_named("one/bayes-0001", "one/bayes-0002", "test", environment, silent)
    assert (
        found.networks is None and "only trials of a final are scored on the test split" in found.remarks[0]
    )
    assert found.scores and set(found.scores.values()) == {(None, None)}
    assert all(name.startswith("test ") for name in found.scores)
    one.network("final-0001", small_plan, 1)
    one.network("final-0002", small_plan, 2)
    tested = compare_named("one/final-0001", "one/final-0002", "test", environment, silent)
    assert tested.remarks == ["not compared on the same games: resampling needs 5 games or more, got 1"]


def test_missing_weights_leave_the_rest_of_the_comparison(environment: Environment, one: Writer) -> None:
    found = compare_named("one/bayes-0001", "one/bayes-0002", "valid", environment, silent)
    assert found.scores["Average-mAP"] == (0.3, 0.4)
    assert found.remarks[0].startswith("not compared on the same games: no such file")


def test_what_cannot_be_compared_is_one_error(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    one.append(TrialAsked(trial="bayes-0003", stage="bayes", parameters={"f": 2}, seed=4))
    one.append(TrialFailed(trial="bayes-0003", reason="loss is NaN"))
    one.append(TrialAsked(trial="bayes-0004", stage="bayes", parameters={"f": 2}, seed=4))
    Writer(environment, "empty", small_plan)
    for a, b, split, said in (
        ("one", "three", "valid", "there is no study 'three'"),
        ("one", "empty", "valid", "'empty' has no finished trial yet"),
        ("one", "one/bayes-0001", "valid", "are a study and a trial"),
        ("one/bayes-0001", "one/nothing", "valid", "has no trial 'nothing'"),
        ("one/bayes-0001", "one/bayes-0003", "valid", "has no score: it is failed: loss is NaN"),
        ("one/bayes-0001", "one/bayes-0004", "valid", "has no score: it is waiting to be resumed"),
        ("one", "one", "train", "expected --split valid or test"),
    ):
        with pytest.raises(UserError, match=said):
            compare_named(a, b, split, environment, silent)


def test_seed_that_was_stopped_early_is_in_no_paired_difference(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    other(environment, small_plan).trial("bayes-0002", {"f": 8}, 0.05, seed=5, end=TrialStopped)
    one.trial("bayes-0003", {"f": 5}, 0.4, seed=5)
    one.trial("final-0007", {"f": 5}, 0.0, seed=108, role="found", end=TrialStopped)
    found = compare_named("one", "two", "valid", environment, silent)
    searched, final = found.paired
    assert searched.means[1] == found.scores["AP goal"][1] == 0.35
    assert (final.configuration, final.seeds) == ("found", 2)


def test_class_without_actions_has_no_score_and_both_means_are_named(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    one.append(TrialAsked(trial="bayes-0003", stage="bayes", parameters={"f": 2}, seed=4))
    metrics = {"average_map": 0.2, "average_map_present": 0.3, "ap/goal": 0.2, "ap/card": 0.4}
    one.append(TrialReported(trial="bayes-0003", epoch=1, metrics=metrics, train_s=1.0))
    one.append(TrialFinished(trial="bayes-0003", score=0.2, epoch=1, duration_s=1.0))
    one.append(TrialTested(trial="bayes-0003", metrics=metrics))
    scores = compare_named("one/bayes-0003", "one/bayes-0003", "valid", environment, silent).scores
    expected = {
        "Average-mAP over all classes": (0.2, 0.2),
        "Average-mAP over classes present": (0.3, 0.3),
        "AP goal": (0.2, 0.2),
        "AP card": (0.4, 0.4),
        "AP substitution": (None, None),
    }
    assert scores == {**expected, **{f"test {name}": pair for name, pair in expected.items()}}


def test_studies_that_maximise_other_means_are_only_shown_side_by_side(
    environment: Environment, one: Writer, small_plan: StudyPlan
) -> None:
    study = small_plan.study.model_copy(update={"scoring": Scoring(mean="present")})
    other(environment, replace(small_plan, study=study))
    found = compare_named("one", "two", "valid", environment, silent)
    reason = "scores cannot be compared, only shown side by side: different means over the classes"
    assert found.remarks[0] == reason
    assert found.paired and all(row.difference is None for row in found.paired)


def test_networks_are_compared_by_the_mean_that_the_study_maximises(
    environment: Environment, small_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_plan.task.open_split(small_plan.valid)
    goals = replace(store, actions=store.actions[store.actions[:, 2] == 0])
    monkeypatch.setattr("hpo.tasks.calf.task.open_reference", lambda split: goals)
    monkeypatch.setattr("hpo.study.recorded.comparing.reopen_data", lambda plan, *_: plan)
    found = {}
    for mean in ("all", "present"):
        study = small_plan.study.model_copy(update={"scoring": Scoring(mean=mean)})
        plan = replace(small_plan, study=study)
        writer = Writer(environment, mean, plan)
        writer.stage("bayes")
        for number in (1, 2):
            trial = f"bayes-{number:04d}"
            writer.trial(trial, {"f": 2}, 0.1)
            writer.network(trial, plan, number)
        compared = compare_named(f"{mean}/bayes-0001", f"{mean}/bayes-0002", "valid", environment, silent)
        assert compared.networks is not None
        found[mean] = compared.networks
    assert found["all"].scores[0] > 0
    assert found["present"].scores == pytest.approx([3 * score for score in found["all"].scores])
    assert found["present"].low == pytest.approx(3 * found["all"].low)
