"""Tables and JSON of ``hpo evaluate``."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from detections import spots_of
from rich.console import Console
from stores import small_store
from weights.published_files import small_network

from hpo.spotting.scores import absent_line, class_table, score_record, scored_tolerances, tolerance_table
from model.data.stores.store import Store
from model.metrics.average_map import TIGHT_TOLERANCES_S, SpottingScore, score_spots
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork

GOALS = [(0, 10, 0), (0, 60, 0)]


def scored(actions: list[tuple[int, int, int]]) -> tuple[dict[str, SpottingScore], Store]:
    """Scores of a network that finds one of the two goals of class 0."""
    store = small_store([100, 100], actions, classes=2)
    options: dict[str, Any] = {"classes": 2, "frame_rate": store.frame_rate}
    spots = spots_of([(0, 10, 0, 0.5)])
    loose = score_spots(spots, store.actions, **options)
    tight = score_spots(spots, store.actions, tolerances_s=TIGHT_TOLERANCES_S, **options)
    return {"loose": loose, "tight": tight}, store


def lines(table: object) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()]
        for line in console.file.getvalue().splitlines()
    ]


def test_class_without_actions_has_a_dash_and_the_table_both_means() -> None:
    scores, store = scored(GOALS)
    _, _, absent, every, present = lines(class_table(scores, store))
    assert absent == ["class-1", "0", "-", "-"]
    assert every == ["mean over all classes", "2", "0.2727", "0.2727"]
    assert present == ["mean over classes present", "0.5455", "0.5455"]
    assert absent_line(store) == "1 of 2 classes have actions here; without any: class-1"
    assert [row[0] for row in lines(tolerance_table(scores, store))][1:] == [every[0], present[0]]


def test_where_every_class_has_actions_the_table_has_one_mean() -> None:
    scores, store = scored([*GOALS, (0, 90, 1)])
    _, _, missed, every = lines(class_table(scores, store))
    assert missed == ["class-1", "1", "0.0000", "0.0000"]
    assert every == ["all", "3", "0.2727", "0.2727"]
    assert absent_line(store) is None
    assert len(lines(tolerance_table(scores, store))) == 2


def test_ap_of_a_class_without_actions_is_null_in_json() -> None:
    record = score_record(*scored(GOALS), nms_window_s=None)["loose"]["all"]
    assert record["per_class"] == {"class-0": pytest.approx(6 / 11), "class-1": None}
    assert record["average_map"] == pytest.approx(3 / 11)
    assert (record["average_map_present"], record["classes_present"]) == (pytest.approx(6 / 11), 1)


def test_a_network_is_also_scored_with_the_tolerances_of_its_study() -> None:
    trained = TrainedNetwork(network=small_network(), classes=("a", "b", "c"), frame_rate=FrameRate(2.0))
    assert list(scored_tolerances(trained)) == ["loose", "tight"]
    assert list(scored_tolerances(replace(trained, tolerances_s=TIGHT_TOLERANCES_S))) == ["loose", "tight"]
    own = (0.5, 1.0, 1.5)
    assert scored_tolerances(replace(trained, tolerances_s=own))["study"] == own
    scores, store = scored(GOALS)
    scores["study"] = score_spots(
        spots_of([(0, 10, 0, 0.5)]), store.actions, classes=2, frame_rate=store.frame_rate, tolerances_s=own
    )
    assert lines(class_table(scores, store))[0][-3:] == ["loose", "tight", "study"]
    assert lines(tolerance_table(scores, store))[0][1:6] == ["0.5 s", "1 s", "1.5 s", "2 s", "3 s"]


def test_class_without_visible_actions_gives_the_table_both_means() -> None:
    _, store = scored([*GOALS, (0, 90, 1)])
    store.actions[[0, 2], 3] = 0  # a goal and the only action of class 1
    options = {"classes": 2, "frame_rate": store.frame_rate}
    loose = score_spots(spots_of([(0, 60, 0, 0.5)]), store.actions, **options)
    _, _, hidden, every, present = lines(class_table({"loose": loose}, store))
    assert hidden == ["class-1", "1", "0.0000", "-", "0.0000"]
    assert (every[0], present[0]) == ("mean over all classes", "mean over classes present")
    assert float(present[2]) == pytest.approx(2 * float(every[3]), abs=1e-4)


def test_unshown_actions_of_some_classes_have_one_mean() -> None:
    _, store = scored(GOALS)
    store.actions[1, 3] = 0
    spots, options = spots_of([(0, 10, 0, 0.5)]), {"classes": 2, "frame_rate": store.frame_rate}
    loose = score_spots(spots, store.actions, **options)
    table = lines(class_table({"loose": loose, "tight": loose}, store))
    assert table[0][-2:] == ["loose visible", "loose unshown"]
    assert table[-2][-1] == "-" and table[-1][-1] == "0.0000"
    assert np.array_equal(loose.unshown.present, [True, False])
