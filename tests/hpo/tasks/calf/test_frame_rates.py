"""Installed study files at the frame rates of published features: 1, 2, 5 and 25 per second."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch

from hpo.config.environment import Environment
from hpo.config.study_file import read_study_file
from hpo.programs.program import Proposal
from hpo.study.plan import StudyPlan, StudyRequest, make_plan
from hpo.tasks.base.registry import parse_study
from hpo.tasks.base.task import StageContext
from hpo.tasks.calf.comparisons import sensitivity_entries
from hpo.tasks.calf.programs import _points
from hpo.tasks.calf.settings import check_space
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.zones import grid_points, symmetric_points, zone_parameters, zones_of
from model.data.layout.description import DatasetDescription, builtin_description, write_description
from model.data.layout.game_files import write_game
from model.data.layout.split_lists import write_split
from model.errors import ConfigError
from model.timeline import FrameRate, format_game_time
from model.training.outcomes import Validation

RATES = (1.0, 2.0, 5.0, 25.0)
CLASSES = {
    "calf": ("goal", "card", "substitution"),
    "demo": ("goal", "card", "substitution"),
    "calf-v2": ("goal", "kick-off", "shots-on-target"),
}
HALF_S, ACTIONS_S, DIMS = 150.0, (45.0, 75.0, 110.0), 4


def write_games(root: Path, study_file: str, rate: FrameRate) -> None:
    """One short game in each split, with labels that suit the study file; frames of an action are marked."""
    classes = CLASSES[study_file]
    soccernet = builtin_description("soccernet-v2" if study_file == "calf-v2" else "soccernet-v1")
    description = DatasetDescription(
        name="rates",
        frame_rate=rate,
        labels_file=soccernet.labels_file,
        classes=classes,
        patterns={name: soccernet.patterns[name] for name in classes},
        ignored=(),
        features={"rates": "RATES"},
        splits={split: f"{split}.txt" for split in ("train", "valid", "test")},
    )
    half = np.random.default_rng(0).normal(size=(rate.to_frames(HALF_S), DIMS)).astype(np.float32)
    for time_s, column in zip(ACTIONS_S, range(3), strict=True):
        half[rate.frame_at(time_s) :, column] += 3.0
    annotations = [
        {"gameTime": format_game_time(1, time_s), "label": name, "position": str(round(1000 * time_s))}
        for time_s, name in zip(ACTIONS_S, description.label_texts, strict=True)
    ]
    root.mkdir()
    for split in ("train", "valid", "test"):
        write_game(
            root,
            f"{split}/game",
            stem="RATES",
            halves=[half, half],
            annotations=annotations,
            labels_file=description.labels_file,
        )
        write_split(root, description, split, [f"{split}/game"])
    write_description(root, description)


def plan_of(name: str, rate: FrameRate, folder: Path) -> StudyPlan:
    """Of an installed study file, without the measurement of the faster number format."""
    write_games(folder / "games", name, rate)
    document, _ = read_study_file(name)
    document["training"] = {**document.get("training", {}), "precision": "float32", "validate_every": 1}
    (folder / "study.toml").write_text(tomli_w.dumps(document))
    environment = Environment(
        runs=folder / "runs", cache=folder / "cache", data=folder, tracking_uri=f"sqlite:///{folder}/m.db"
    )
    request = StudyRequest(study_file=str(folder / "study.toml"), data=str(folder / "games"), epochs=1)
    return make_plan(request, environment, lambda *_: None)


@pytest.mark.parametrize("per_second", RATES)
@pytest.mark.parametrize("name", CLASSES)
def test_installed_study_file_plans_and_trains_at_every_frame_rate(
    tmp_path: Path, name: str, per_second: float
) -> None:
    plan = plan_of(name, FrameRate(per_second), tmp_path)
    task, study, shape = plan.task, plan.study, plan.shape
    own = plan.own_configuration()
    # The largest r of the space, 60 or 80 s, leaves the fewest frames with a loss.
    space = study.stages.bayes.space
    parameters = {**own, "r_s": max(space["r_s"].extremes()), "f": min(space["f"].extremes())}
    slot = task.slot(study, parameters, shape, seed=0, data_seed=0)
    network = slot.config.network
    assert network.chunk_frames == 120 * per_second
    assert network.receptive_field_frames == (60 if name == "demo" else 80) * per_second
    for index, label in enumerate(CLASSES[name]):
        seconds = np.array(slot.config.loss.zones.per_class[index]) / per_second
        np.testing.assert_allclose(seconds, study.zones_of(label), atol=0.5 / per_second)
    train, valid = (task.open_split(split) for split in (plan.train, plan.valid))
    shared = task.shared(study, shape, "float32")
    array = task.array(shared, train=train, valid=valid, device=torch.device("cpu"), on_note=lambda _: None)
    array.slots = [slot]
    (outcome,) = array.advance()
    assert isinstance(outcome.result, Validation), outcome.result
    assert outcome.result.epoch == 1
    assert outcome.result.metrics["train/segmentation_loss"] > 0
    context = StageContext(
        study=study,
        stage="grid-slicing",
        shape=shape,
        train=plan.train,
        valid=plan.valid,
        start=own,
        seed=0,
    )
    proposal = task.program(context).next([])
    assert isinstance(proposal, Proposal)
    for label in CLASSES[name]:
        assert zones_of(proposal.parameters, label) == zones_of(own, label)
    grid = study.stages.grid_slicing.grid["default"]
    assert len(grid_points(grid, shape.frame_rate)) == len(grid_points(grid, FrameRate(2.0)))


def refusal(per_second: float, **tables: Any) -> ConfigError:
    """What ``tables`` in a study file are refused with, before or at the grid stage."""
    bayes = {"trials": 1, "space": {"f": {"type": "int", "low": 2, "high": 4}}}
    document = {"task": "calf", **tables, "stages": {"bayes": bayes, **tables.get("stages", {})}}
    study = parse_study(document, file="test")
    shape = GamesShape(dims=DIMS, classes=("goal", "card"), frame_rate=FrameRate(per_second))
    with pytest.raises(ConfigError) as caught:
        check_space(study, shape)
        _points(study.stages.grid_slicing, shape.classes, shape)
    assert "\n" not in caught.value.message
    return caught.value


def test_zones_of_less_than_a_frame_are_refused_with_class_rate_and_remedy() -> None:
    zones_s = {"default": [-20, -10, 10, 20], "card": [-1, -0.4, 0.4, 1]}
    error = refusal(1.0, zones_s=zones_s)
    assert error.message == (
        "zones of class 'card' must satisfy K1 < K2 < 0 < K3 < K4, got -1, 0, 0, 1 frames at 1 per second "
        "(-1, -0.4, 0.4, 1 s)"
    )
    assert (error.details["key"], "at least 1 s apart" in error.details["fix"]) == ("zones_s", True)


def test_zones_wider_than_the_stored_distances_are_refused_with_the_limit_in_seconds() -> None:
    error = refusal(25.0, zones_s={"default": [-20, -10, 10, 1400]})
    assert "zones of class 'goal'" in error.message
    assert "at most 1310.64 s from the action" in error.details["fix"]


@pytest.mark.parametrize(
    ("per_second", "stage", "complaint", "key"),
    [
        (
            1.0,
            {"mode": "symmetric", "symmetric_s": [0.4]},
            "K1 = 2 K2 = -2 K3 = -K4 at 1 frame per",
            "symmetric_s",
        ),
        (1.0, {"grid": {"default": {}, "card": {"K3_s": [0.4], "K4_s": [5]}}}, "got none", "grid.card"),
        (25.0, {"mode": "symmetric", "symmetric_s": [700]}, "at most 1310.64 s .* got 1400 s", "symmetric_s"),
        (25.0, {"grid": {"default": {"K1_s": [-1400]}}}, "got 1400 s", "grid.default"),
    ],
)
def test_grid_that_is_impossible_in_frames_is_refused_with_its_key(
    per_second: float, stage: dict[str, Any], complaint: str, key: str
) -> None:
    error = refusal(per_second, stages={"grid-slicing": stage})
    assert re.search(complaint, error.message)
    assert error.details["key"] == f"stages.grid-slicing.{key}"


def test_symmetric_values_that_are_equal_in_frames_are_tried_once() -> None:
    assert symmetric_points((0.4, 0.9, 1.1, 2.5), FrameRate(1.0)) == [(-2, -1, 1, 2), (-4, -2, 2, 4)]
    assert len(symmetric_points((0.4, 0.9, 1.1, 2.5), FrameRate(25.0))) == 4


def test_sensitivity_leaves_out_factors_beyond_the_stored_distances() -> None:
    start = zone_parameters("goal", (-500.0, -250.0, 250.0, 500.0))
    roles = sensitivity_entries(start, ("goal",), [2.0, 65.0, 66.0])
    assert {"K4.goal 1000", "K4.goal 32500"} <= set(roles)
    assert "K4.goal 33000" not in roles
