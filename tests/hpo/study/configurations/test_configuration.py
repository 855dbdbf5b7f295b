import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan

from hpo.study.configurations.configuration import configuration_of_run, read_configuration
from hpo.tasks.base.registry import parse_study
from hpo.tasks.base.splits import DataShape
from model.errors import ConfigError

PLAN = calf_plan(classes=("goal", "card", "substitution"), dims=512)


def test_own_configuration_of_calf_is_the_paper_s_optimum_with_its_zones_in_frames() -> None:
    own = PLAN.own_configuration()
    assert (own["f"], own["r_s"], own["alpha2"], own["beta"], own["lambda_seg"]) == (
        16,
        40.0,
        5.0,
        0.5,
        1.5,
    )
    assert [own[f"K{number}_frames.substitution"] for number in (1, 2, 3, 4)] == [-80, -40, 20, 40]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flat.json", json.dumps({"r": 40, "K3.goal": 50})),
        ("nested.json", json.dumps({"parameters": {"r": 40, "K3.goal": 50}})),
        ("best.json", json.dumps({"study": "s", "best": [{"parameters": {"r": 40, "K3.goal": 50}}, {}]})),
        ("found.json", json.dumps({"found": {"r": 40, "K3.goal": 50}, "best": [{"parameters": {"r": 9}}]})),
        ("begun.json", json.dumps({"found": {}, "best": [{"parameters": {"r": 40, "K3.goal": 50}}]})),
        ("mine.toml", "r = 40\nK3.goal = 50\n"),
    ],
)
def test_configuration_is_read_under_the_paper_s_symbols(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_configuration(tmp_path / name, PLAN)
    own = PLAN.own_configuration()
    assert found == own | {"r_s": 20, "K3_frames.goal": 50}


@pytest.mark.parametrize(
    ("tables", "text", "expected"),
    [
        ({}, '{"r_frames": 40}', {"r_s": 20.0}),
        ({}, '{"r": 41}', {"r_s": 20.5}),
        ({}, '{"r_s": 30}', {"r_s": 30}),
        ({"hyperparameters": {"r_frames": 60}}, '{"f": 3}', {"r_frames": 60}),
        ({"hyperparameters": {"r_frames": 60}}, '{"r": 40}', {"r_frames": 40}),
        ({"hyperparameters": {"r_frames": 60}}, '{"r_s": 30.2}', {"r_frames": 60}),
    ],
)
def test_configuration_has_r_once_in_the_unit_of_the_study_file(
    tmp_path: Path, tables: dict[str, Any], text: str, expected: dict[str, float]
) -> None:
    stages = {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 2, "high": 9}}}}
    (tmp_path / "mine.json").write_text(text)
    found = read_configuration(tmp_path / "mine.json", calf_plan({"stages": stages, **tables}))
    assert {name: value for name, value in found.items() if name.startswith("r")} == expected
    assert None not in found.values()


OWN_TASK = """
import hpo

def fit(parameters, seed, report):
    return 0.5

NAMES = ("window", "window_frames", "num_positions")
TASK = hpo.function_task(fit, space=dict.fromkeys(NAMES, (1, 9)), own=dict.fromkeys(NAMES, 2))
"""


def test_names_of_an_own_task_keep_their_units_which_older_records_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "windows.py").write_text(OWN_TASK)
    monkeypatch.syspath_prepend(tmp_path)
    plan = replace(PLAN, study=parse_study({"task": "windows"}, file="test"), shape=DataShape(dims=0))
    recorded = {"window": 3, "window_frames": 4, "num_positions": 5, "seed": 1}
    assert configuration_of_run("r", recorded, plan) == {name: recorded[name] for name in list(recorded)[:3]}
    assert configuration_of_run("r", {"num": 5}, plan)["num_positions"] == 5
    sys.modules.pop("windows")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"gamma": 1}', "unknown hyperparameter: 'gamma'"),
        ('{"f": "many"}', "cannot use this configuration: f"),
        ('{"K1.goal": 3}', "K1 < K2 < 0 < K3 < K4"),
        ('{"r": 999}', "shorter than the chunk"),
        ('{"r_s": 119.9}', r"shorter than the chunk \(120 s, 240 frames at 2 per second\), got r_s = 119.9"),
        ('{"r": 40.5}', "cannot use this configuration: r_frames"),
        ('{"r": 40, "r_s": 20}', "expected r once, .* got r and r_s"),
        ('{"K1.goal": -9, "K1_frames.goal": -8}', "appears twice, by its name and by its symbol"),
        ("[1, 2]", "expected a table of hyperparameters"),
        ("{", "cannot read a configuration"),
        ("[" * 5000 + "]" * 5000, "nested deeper"),
        ('{"r": 40, "r": 50}', "'r' appears twice"),
        ('{"K1": {"goal": -99}, "K1.goal": -98}', "appears twice, as a key"),
        ('{"f": {}}', "cannot use this configuration: f"),
        ('{"K1.goal": "far"}', "expected a number of frames as K1.goal, got 'far'"),
        ('{"K1.goal": -1e999}', "expected a number of frames as K1.goal, got -inf"),
    ],
)
def test_configuration_that_cannot_be_used_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        read_configuration(tmp_path / "mine.json", PLAN)
    assert str(tmp_path / "mine.json") in str(caught.value)
