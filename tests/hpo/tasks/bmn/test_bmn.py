"""The stages of BMN on ActivityNet: what they try, what they refuse, how their results are told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from activitynet_folder import POSITIONS, TRAINING, VALIDATION, write_folder
from shown_stages import view
from stage_play import play

from hpo.config.environment import Environment
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.page.study_page import shown_table
from hpo.programs.listed import FIRST_CONFIRMATION_REPLICATE
from hpo.programs.program import Program
from hpo.study.plan import StudyPlan, StudyRequest, make_plan, reopen_data
from hpo.tasks.base.registry import load_study, parse_study, task_named
from hpo.tasks.base.splits import DataRequest, DataShape, SplitRef
from hpo.tasks.base.task import StageContext
from hpo.tasks.bmn.presentation.tables import grid_tables, losses_tables
from hpo.tasks.bmn.study_file import BmnStudy
from model.data.activitynet.features import feature_file
from model.data.activitynet.synthetic import make_dataset, make_videos
from model.errors import ConfigError, DataError
from model.networks.boundary_matching import Sampling

BMN = task_named("bmn")
SHAPE = DataShape(dims=8)


def study_of(stages: dict[str, Any]) -> BmnStudy:
    study = parse_study({"task": "bmn", "stages": stages}, file="test")
    assert isinstance(study, BmnStudy)
    return study


def program(stage: str, settings: dict[str, Any], **start: Any) -> Program:
    study = study_of({stage: settings})
    own = BMN.own_configuration(study, SHAPE)
    return BMN.program(
        StageContext(
            study=study,
            stage=stage,
            shape=SHAPE,
            train=SplitRef(path="/none", items=1),
            valid=SplitRef(path="/none", items=1),
            start={**own, **start},
            seed=0,
        )
    )


def near_minus_ten(parameters: Any, replicate: int) -> dict[str, float]:
    """Highest at K1 = -10; the published loss is level with the worst."""
    if parameters["tem_loss"] == "bmn":
        return {"all": 0.1 + replicate / 1000}
    return {"all": 0.5 - abs(parameters["K1_positions"] + 10) / 100 + replicate % 7 / 1000}


def test_grid_finds_k1_of_the_context_aware_loss_and_confirms_it_with_fresh_seeds() -> None:
    settings = {"K1_positions": [-6, -10, -14], "seeds": 2}
    trials = play(lambda: program("bmn-slicing", settings, tem_loss="bmn"), near_minus_ten)
    grid = [trial for trial in trials if trial.role == "grid"]
    # The start lies at -14, which is a point of the grid: it is trained once.
    assert [trial.parameters["K1_positions"] for trial in grid] == [-14, -6, -10]
    assert {trial.parameters["tem_loss"] for trial in trials} == {"context-aware"}
    confirming = [(trial.role, trial.replicate) for trial in trials if trial.role != "grid"]
    first = FIRST_CONFIRMATION_REPLICATE
    assert confirming == [(role, first + seed) for seed in range(2) for role in ("start", "combined")]
    choice = program("bmn-slicing", settings).choice(trials)
    assert choice is not None and choice.parameters["K1_positions"] == -10


def test_plan_shows_what_the_stages_try() -> None:
    study = parse_study({"task": "bmn", "stages": {"bmn-slicing": {"K1_positions": [-6, -10]}}}, file="bmn")
    shape = DataShape(dims=8)
    assert BMN.describe_stage(study, "bmn-slicing", shape) == [
        "grid      K1 -6 -10 with K1 = 2 K2 = -2 K3 = -K4 (K1_positions of the stage)"
    ]
    losses = ["losses    bmn, context-aware (tem_losses of the stage)"]
    assert BMN.describe_stage(study, "bmn-compare", shape) == losses


def test_both_losses_are_trained_with_the_same_seeds_from_the_k1_that_was_found() -> None:
    trials = play(lambda: program("bmn-compare", {"runs": 3}, K1_positions=-6.0), near_minus_ten)
    assert [(trial.role, trial.replicate) for trial in trials] == [
        (loss, 101 + run) for run in range(3) for loss in ("bmn", "context-aware")
    ]
    assert {trial.parameters["K1_positions"] for trial in trials} == {-6.0}
    alone = play(lambda: program("bmn-compare", {"runs": 2, "tem_losses": ["context-aware"]}), near_minus_ten)
    assert {trial.role for trial in alone} == {"context-aware"}


def test_tables_tell_the_grid_and_the_losses_with_the_paper_beside() -> None:
    settings = {"K1_positions": [-6, -10], "seeds": 1, "replicates": 2}
    trials = play(lambda: program("bmn-slicing", settings), near_minus_ten)
    rows = shown_table(*grid_tables(view("bmn-slicing", trials, task=BMN))).rows  # type: ignore[arg-type]
    assert [(row[0], row[1]) for row in rows] == [("-6", "2"), ("-10", "2"), ("-14", "2")]
    assert float(rows[1][2]) == pytest.approx(0.5005, abs=1e-4)

    runs = play(lambda: program("bmn-compare", {"runs": 9}), near_minus_ten)
    compared = view("bmn-compare", with_metrics(runs), task=BMN)
    papers = replace(compared, dataset="a/csv_mean_100", shape=DataShape(dims=400), valid_items=4728)
    table, explained = losses_tables(papers)
    shown = shown_table(table)  # type: ignore[arg-type]
    assert [row[0] for row in shown.rows] == ["AR@100", "AUC"]
    assert "validation split" in str(explained) and "the table above pairs them by seed" in str(explained)
    assert shown.rows[1][-1] == "0.098"
    for other in (compared, replace(papers, dataset="a/csv_mean_32"), replace(papers, valid_items=32)):
        table, _ = losses_tables(other)
        assert not any("paper" in name for name in shown_table(table).header)  # type: ignore[arg-type]
    assert (
        losses_tables(view("bmn-compare", [trial for trial in runs if trial.role == "bmn"], task=BMN)) == []
    )


def test_runs_that_were_stopped_early_are_in_no_table() -> None:
    settings = {"K1_positions": [-6, -10], "seeds": 1, "replicates": 2}
    points = play(lambda: program("bmn-slicing", settings), near_minus_ten)
    points[0].status = TrialStatus.STOPPED
    rows = shown_table(*grid_tables(view("bmn-slicing", points, task=BMN))).rows  # type: ignore[arg-type]
    assert sorted(row[1] for row in rows) == ["1", "2", "2"]

    runs = with_metrics(play(lambda: program("bmn-compare", {"runs": 3}), near_minus_ten))
    runs[0].status = TrialStatus.STOPPED
    table, _ = losses_tables(view("bmn-compare", runs, task=BMN))
    shown = shown_table(table)  # type: ignore[arg-type]
    assert shown.rows[0][shown.header.index("runs")] == "2, 3"


def with_metrics(trials: list[TrialState]) -> list[TrialState]:
    for trial in trials:
        metrics = {"auc": trial.score or 0.0, "ar@100": (trial.score or 0.0) + 0.1}
        trial.reports[1] = replace(trial.reports[1], metrics=metrics)
    return trials


@pytest.mark.parametrize(
    ("tables", "key", "complaint"),
    [
        ({"hyperparameters": {"K1_positions": 3.0}}, "hyperparameters.K1_positions", "a number below 0"),
        ({"hyperparameters": {"tem_loss": "focal"}}, "hyperparameters.tem_loss", "'bmn' or 'context-aware'"),
        ({"network": {"hidden_1d": 30}}, "network.hidden_1d", "multiple of 4"),
        ({"network": {"positions": 20, "longest": 30}}, "network", "longest must not exceed positions"),
        ({"network": {"bins": 1, "points_per_bin": 1}}, "network", "must not both be 1"),
        ({"network": {"boundary_ratio": -0.5}}, "network.boundary_ratio", "0 or more"),
        ({"scoring": {"low": 0.9, "high": 0.5}}, "scoring", "low must not exceed high"),
        (
            {"stages": {"bmn-slicing": {"K1_positions": [-2, 0]}}},
            "stages.bmn-slicing.K1_positions.1",
            "below 0",
        ),
        ({"stages": {"bmn-compare": {"runs": 1}}}, "stages.bmn-compare.runs", "2 or more"),
        ({"stages": {"bmn-compare": {"tem_losses": []}}}, "stages.bmn-compare.tem_losses", "1 or more"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tables: dict[str, Any], key: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study({"task": "bmn", **tables}, file="test")
    assert complaint in caught.value.details[key]


def test_installed_study_file_holds_the_defaults_and_the_papers_k1() -> None:
    written, left_out = load_study("bmn"), study_of({})
    assert written.model_dump(exclude={"stages"}) == left_out.model_dump(exclude={"stages"})
    assert written.stages.named("bmn-slicing") == left_out.stages.named("bmn-slicing")
    assert written.stages.named("bmn-compare") == left_out.stages.named("bmn-compare")
    assert BMN.own_configuration(written, SHAPE)["K1_positions"] == -14.0


def test_data_that_do_not_fit_are_one_error(tmp_path: Path) -> None:
    videos = make_videos({"training": 3, "validation": 2}, classes=2, seed=0)
    make_dataset(tmp_path / "data", videos, positions=12, dims=6, seed=0)

    def opened(
        place: str, positions: int, counts: tuple[int, int] | None = None, features: str | None = None
    ) -> None:
        study = parse_study({"task": "bmn", "network": {"positions": positions}}, file="test")
        wanted = DataRequest(place=place, features=features, counts=counts, cache=tmp_path / "cache")
        BMN.open_data(wanted, study, lambda *_: None)

    with pytest.raises(ConfigError, match="needs a multiple of 4 numbers per position, got 6"):
        opened(str(tmp_path / "data"), 12)
    with pytest.raises(DataError, match=r"csv_mean_16: no such folder .* set positions = 12"):
        opened(str(tmp_path / "data"), 16)
    with pytest.raises(DataError, match="expected 9 videos of the subset 'training', found 3"):
        opened(str(tmp_path / "data"), 12, (9, 1))
    with pytest.raises(ConfigError, match="expected features csv_mean_12"):
        opened(str(tmp_path / "data"), 12, features="csv_mean_16")


@pytest.fixture
def incomplete(tmp_path: Path) -> Path:
    """Videos of which one for training and one for validation have no features."""
    folder = write_folder(tmp_path / "data")
    for name in (TRAINING[3], VALIDATION[1]):
        feature_file(folder, name, POSITIONS).unlink()
    (tmp_path / "small.toml").write_text(
        f'task = "bmn"\n[network]\npositions = {POSITIONS}\n[training]\nprecision = "float32"\n'
    )
    return folder


def planned(folder: Path, *, study_file: str | None = None, skip_missing: bool = False) -> StudyPlan:
    file = study_file or str(folder.parent / "small.toml")
    request = StudyRequest(study_file=file, data=str(folder), skip_missing=skip_missing, device="cpu")
    return make_plan(request, environment_of(folder), lambda *_: None)


def environment_of(folder: Path) -> Environment:
    runs = folder.parent / "runs"
    return Environment(
        runs=runs, cache=folder.parent / "cache", data=folder, tracking_uri=f"sqlite:///{runs}/m.db"
    )


def test_the_choice_to_leave_videos_out_stays_with_the_study(incomplete: Path) -> None:
    with pytest.raises(DataError, match="--skip-missing"):
        planned(incomplete)
    plan = planned(incomplete, skip_missing=True)
    assert (plan.train.items, plan.train.left_out, plan.valid.items, plan.valid.left_out) == (7, 1, 3, 1)
    assert plan.train.size("videos") == "7 videos (1 left out: no feature file)"
    # As a resumed study reads it from its journal, and opens the data again.
    kept = StudyPlan.from_json(json.loads(json.dumps(plan.to_json())), file="journal")
    assert kept == plan and kept.study.skips_missing
    assert reopen_data(kept, environment_of(incomplete), lambda *_: None) == plan
    feature_file(incomplete, TRAINING[4], POSITIONS).unlink()
    with pytest.raises(DataError, match="expected 7 videos of the subset 'training', found 6 with features"):
        reopen_data(kept, environment_of(incomplete), lambda *_: None)


def test_the_study_file_leaves_videos_out_too(incomplete: Path) -> None:
    file = incomplete.parent / "skipping.toml"
    file.write_text((incomplete.parent / "small.toml").read_text() + "[data]\nskip_missing = true\n")
    assert planned(incomplete, study_file=str(file)) == planned(incomplete, skip_missing=True)


def test_a_task_without_this_setting_refuses_the_option(incomplete: Path) -> None:
    with pytest.raises(ConfigError, match="the task calf has no option --skip-missing"):
        planned(incomplete, study_file="calf", skip_missing=True)


def test_settings_of_the_sampling_reach_the_network() -> None:
    network = {"bins": 4, "points_per_bin": 2, "boundary_ratio": 0.25, "positions": 10}
    study = parse_study({"task": "bmn", "network": network}, file="test")
    slot = BMN.slot(study, {}, SHAPE, seed=0, data_seed=0)
    assert slot.network.matching.size == (10, 10, Sampling(4, 2, 0.25))
