from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from weights.published_files import small_network

from model.encoding import Zones
from model.errors import ConfigError, DataError
from model.metrics.average_map import LOOSE_TOLERANCES_S
from model.timeline import FrameRate
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.weights.trained import TrainedNetwork

CLASSES = ("goal", "card", "substitution")
ZONES = Zones(((-4.0, -2.0, 2.0, 4.0),) * 3)


def trained(zones: Zones | None = ZONES) -> TrainedNetwork:
    return TrainedNetwork(network=small_network(), classes=CLASSES, frame_rate=FrameRate(5.0), zones=zones)


@pytest.mark.parametrize("zones", [ZONES, None])
def test_network_comes_back_as_it_was_saved(tmp_path: Path, zones: Zones | None) -> None:
    trained(zones).save(tmp_path / "best.pt", epoch=7)
    again = TrainedNetwork.load(tmp_path / "best.pt")
    assert (again.classes, again.frame_rate, again.zones, again.origin) == (
        CLASSES,
        FrameRate(5.0),
        zones,
        "study",
    )
    features = torch.rand(60, 2, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected, came = trained().network.eval()(features), again.network.eval()(features)
    torch.testing.assert_close(came.spotting, expected.spotting, rtol=0, atol=0)
    assert load_checkpoint(tmp_path / "best.pt")["epoch"] == 7


def test_segmentation_of_the_re_release_is_turned_the_right_way_up() -> None:
    halves = (np.array([[0.25, 0.0, 1.0]], dtype=np.float32),)
    assert trained().upright(halves) is halves
    (turned,) = replace(trained(), origin="published-2021").upright(halves)
    assert turned.tolist() == [[0.75, 1.0, 0.0]]


def test_each_class_of_the_network_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="expected 3 class names"):
        TrainedNetwork(network=small_network(), classes=("goal",), frame_rate=FrameRate(2.0))


def test_checkpoint_without_a_network_is_refused_with_what_to_give(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 3})
    with pytest.raises(DataError, match="not contain a trained network") as caught:
        TrainedNetwork.load(tmp_path / "checkpoint.pt")
    assert "best.pt" in caught.value.details["fix"]


def test_weights_of_another_size_than_the_config_says_are_refused(tmp_path: Path) -> None:
    trained().save(tmp_path / "best.pt")
    content = load_checkpoint(tmp_path / "best.pt")
    content["network_config"]["class_features"] = 5
    save_checkpoint(tmp_path / "best.pt", content)
    with pytest.raises(DataError, match="not contain a trained network"):
        TrainedNetwork.load(tmp_path / "best.pt")


def test_setting_that_no_number_of_torch_can_hold_is_refused_at_once(tmp_path: Path) -> None:
    trained().save(tmp_path / "best.pt")
    content = load_checkpoint(tmp_path / "best.pt")
    content["network_config"]["norm_eps"] = 10**400
    save_checkpoint(tmp_path / "best.pt", content)
    with pytest.raises(DataError, match="within 64 bits"):
        TrainedNetwork.load(tmp_path / "best.pt")


@pytest.mark.parametrize(
    ("scoring", "window_s"),
    [
        ({}, 20.0),
        ({"tolerances_s": (0.5, 1.0, 1.5)}, 1.5),
        ({"tolerances_s": (5.0, 60.0), "nms_window_s": 8.0}, 8.0),
    ],
)
def test_spots_are_suppressed_as_in_the_score_of_the_study(
    tmp_path: Path, scoring: dict[str, Any], window_s: float
) -> None:
    replace(trained(), **scoring).save(tmp_path / "best.pt")
    again = TrainedNetwork.load(tmp_path / "best.pt")
    assert {name: getattr(again, name) for name in scoring} == scoring
    assert again.spots_window_s == window_s


def test_network_of_an_older_version_was_scored_as_the_paper(tmp_path: Path) -> None:
    trained().save(tmp_path / "best.pt")
    content = load_checkpoint(tmp_path / "best.pt")
    del content["tolerances_s"], content["nms_window_s"]
    save_checkpoint(tmp_path / "best.pt", content)
    again = TrainedNetwork.load(tmp_path / "best.pt")
    assert (again.tolerances_s, again.nms_window_s) == (LOOSE_TOLERANCES_S, None)


@pytest.mark.parametrize("scoring", [{"tolerances_s": []}, {"tolerances_s": ["5"]}, {"nms_window_s": -1.0}])
def test_widths_that_are_no_seconds_are_refused(tmp_path: Path, scoring: dict[str, Any]) -> None:
    trained().save(tmp_path / "best.pt")
    save_checkpoint(tmp_path / "best.pt", {**load_checkpoint(tmp_path / "best.pt"), **scoring})
    with pytest.raises(DataError, match="expected tolerances and suppression in seconds"):
        TrainedNetwork.load(tmp_path / "best.pt")


@pytest.mark.parametrize("classes", [("goal", "card", "card"), ("goal", "", "card")])
def test_classes_need_different_names(classes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="expected different class names, none of them empty, got 'goal'"):
        replace(trained(), classes=classes)


def test_network_of_another_task_is_named_as_such(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", {"config": {}, "network": {}})
    with pytest.raises(DataError, match="expected a network for action spotting, got one of another task"):
        TrainedNetwork.load(tmp_path / "best.pt")


def test_file_that_is_no_checkpoint_says_how_to_import_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    with pytest.raises(DataError) as caught:
        TrainedNetwork.load(tmp_path / "weights.h5")
    assert "hpo import-weights" in caught.value.details["fix"]
