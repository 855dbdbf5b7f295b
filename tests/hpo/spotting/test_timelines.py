import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calf_plan import calf_plan

from hpo.config.environment import Environment
from hpo.journal.events import StageStarted, StudyCreated, TrialAsked, TrialFailed, TrialFinished
from hpo.journal.journal import Journal
from hpo.spotting.figures.timeline import GameTimeline
from hpo.spotting.timelines import game_timelines, write_timelines
from hpo.spotting.trials import NamedTrial, find_trial, has_data_of, open_validation, trials_of_stage
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.tasks.base.splits import DataRequest
from hpo.tasks.calf.data import open_games
from hpo.trial.files import BEST, trial_folder
from model.data.synthetic import write_synthetic
from model.errors import ConfigError
from model.metrics.average_map import TIGHT_TOLERANCES_S
from model.spots import Spots
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork

STAGES = {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 4, "high": 8}}}}
GAMES = {"train": 2, "valid": 1}
TRIAL = NamedTrial(
    study="s",
    identity="1",
    trial="t",
    label="t",
    weights=Path("w"),
    data="d",
    features="F",
    games=GAMES,
    valid_digest="1",
    nms_window_s=None,
    tolerances_s=(5.0, 10.0),
)


@pytest.fixture
def sweep(tmp_path: Path) -> Environment:
    """Two values of lambda_seg with two seeds each, of which one trial failed; then a grid of two points."""
    environment = Environment(runs=tmp_path, cache=tmp_path, data=tmp_path, tracking_uri="sqlite://")
    sweep = [("lambda-sweep", f"lambda_seg {each:g}", each) for each in (0.1, 0.1, 10.0, 10.0)]
    grid = [("grid-slicing", role, each) for role, each in (("grid", 1.0), ("grid", 1.0), ("grid", 2.0))]
    trials = [*sweep, *grid, ("grid-slicing", "start", 1.0)]
    with Journal.create(study_folder(environment, "s")) as journal:
        journal.append(
            StudyCreated(study="s", plan={}, seed=0, data_digest="d", code_digest="c", versions={})
        )
        for stage in ("lambda-sweep", "grid-slicing"):
            journal.append(StageStarted(stage=stage, space={}, trials=4))
        for number, (stage, role, setting) in enumerate(trials, start=1):
            name, parameters = f"t{number}", {"lambda_seg": setting}
            journal.append(TrialAsked(trial=name, stage=stage, parameters=parameters, seed=number, role=role))
            journal.append(
                TrialFailed(trial=name, reason="NaN")
                if number == 3
                else TrialFinished(trial=name, score=0.5, epoch=1, duration_s=1.0)
            )
    return environment


def test_stage_means_the_first_trial_with_a_score_of_every_configuration(sweep: Environment) -> None:
    assert trials_of_stage("s/lambda-sweep", sweep) == ["s/t1", "s/t4"]
    assert trials_of_stage("s/grid-slicing", sweep) == ["s/t5", "s/t7", "s/t8"]


@pytest.mark.parametrize("name", ["s/t2", "unknown/lambda-sweep", "0123456789abcdef"])
def test_other_names_mean_themselves(sweep: Environment, name: str) -> None:
    assert trials_of_stage(name, sweep) == [name]


def test_trial_has_the_tolerances_and_the_suppression_of_its_study(
    sweep: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"preset": "published-2021", "scoring": {"tolerances": "tight"}, "stages": STAGES}
    monkeypatch.setattr("hpo.spotting.trials.plan_of", lambda *_: calf_plan(tables))
    (weights := trial_folder(study_folder(sweep, "s"), "t1") / BEST).parent.mkdir(parents=True)
    weights.write_bytes(b"network")
    trial = find_trial("s/t1", "valid", sweep)
    assert (trial.nms_window_s, trial.tolerances_s) == (20.0, TIGHT_TOLERANCES_S)
    assert (trial.study, trial.trial, trial.games, trial.valid_digest) == ("s", "t1", GAMES, "b")


def test_networks_are_drawn_one_figure_a_class(tmp_path: Path) -> None:
    timeline = GameTimeline(
        game="league/season/a - b",
        classes=("goal", "yellow->red card"),
        frame_rate=FrameRate(2.0),
        segmentation=(np.full((300, 2), 0.25, np.float32), np.full((280, 2), 0.75, np.float32)),
        actions=np.array([[0, 100, 0, 1]]),
        spots=Spots(np.array([0]), np.array([104]), np.array([0]), np.array([0.9], np.float32)),
    )
    files = write_timelines({"first": timeline, "second": timeline}, tmp_path)
    names = {file.name for file in files if file.suffix == ".png"}
    assert names == {"networks-goal.png", "networks-yellow-red-card.png"}


def test_trials_of_different_data_are_not_drawn_together() -> None:
    trials = [replace(TRIAL, data=data) for data in ("a", "b")]
    with pytest.raises(ConfigError, match="trained on different data"):
        game_timelines(
            trials, None, game=None, nms_window_s=None, device=None, progress=lambda *_: None  # type: ignore[arg-type]
        )  # fmt: skip


def test_data_of_a_trial_are_known_by_the_validation_games_on_which_it_was_scored(
    small_plan: StudyPlan, small_environment: Environment, small_games: Path, tmp_path: Path
) -> None:
    slot = small_plan.task.slot(small_plan.study, {"f": 2}, small_plan.shape, seed=0, data_seed=0)
    small_plan.task.save_network(slot, small_plan.shape, small_plan.shared(), tmp_path / "best.pt", {})
    trained, cache = TrainedNetwork.load(tmp_path / "best.pt"), small_environment.cache
    request = DataRequest(place=str(small_games), features=small_plan.features, counts=None, cache=cache)
    first_two = open_games(request, "valid", count=2).digest
    whole = replace(TRIAL, games={"valid": 5}, valid_digest=small_plan.data_digest.rpartition("+")[2])
    part = replace(TRIAL, games={"valid": 2}, valid_digest=first_two)
    read = open_validation(replace(part, data=str(small_games), features=small_plan.features), trained, cache)
    assert read.digest == first_two, "thresholds are chosen on the games of the study"
    other = tmp_path / "other"
    write_synthetic(other, games={"train": 1, "valid": 2, "test": 1}, dims=8, minutes=15, seed=4)

    def is_of(trial: NamedTrial, place: Path) -> bool:
        return has_data_of(trial, trained, str(place), cache, features=None, force_features=False)

    assert [is_of(trial, small_games) for trial in (whole, part)] == [True, True]
    assert is_of(part, Path(shutil.copytree(small_games, tmp_path / "copy")))
    assert [is_of(trial, other) for trial in (whole, part)] == [False, False]
