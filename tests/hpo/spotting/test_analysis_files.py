import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from hpo.spotting.analysis import Analysis, Pairs, Scores, analyse
from hpo.spotting.analysis_files import (
    game_time_labels,
    per_class_rows,
    played_bins,
    results_folder,
    summary_lines,
    vicinity_labels,
    write_analysis,
)
from hpo.spotting.figures.bins import bins_figure
from hpo.spotting.figures.calibration import calibration_figure
from hpo.spotting.figures.class_results import class_results_figure
from hpo.spotting.figures.timeline import GameTimeline, timeline_figure
from hpo.spotting.figures.zones import loss_figure
from hpo.study.plan import StudyPlan
from hpo.tasks.calf.data import open_reference
from model.encoding import Zones
from model.errors import UserError
from model.inference.evaluation import find_spots
from model.losses.complete import LossConfig
from model.metrics.average_map import LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S, AverageMap, average_map
from model.metrics.breakdowns import VICINITY_EDGES_S, GroupScore
from model.metrics.calibration import Calibration
from model.metrics.thresholded import ClassResults
from model.spots import Spots
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork


def groups(number: int) -> list[GroupScore]:
    """The first without actions; of the others only the first class has some."""
    counted, everyone = np.array([True, False]), np.ones(2, dtype=bool)
    empty = GroupScore(0, AverageMap((5.0, 10.0), np.zeros((2, 2)), ~everyone, ~everyone))
    filled = GroupScore(3, AverageMap((5.0, 10.0), np.full((2, 2), 0.5), counted, counted))
    return [empty, *[filled] * (number - 1)]


@pytest.fixture
def analysis() -> Analysis:
    counts = np.array([[1, 2], [3, 4]])
    return Analysis(
        split="test",
        games=2,
        classes=("goal", "card"),
        scores=Scores(
            average_map=0.5,
            average_map_present=0.5,
            present=(True, True),
            average_map_without_break=0.6,
            actions=7,
            break_actions=1,
            halves=2,
            game_time=groups(20),
            vicinity=groups(11),
            vicinity_edges_s=VICINITY_EDGES_S,
        ),
        results=ClassResults((5.0, 10.0), np.full((2, 2), 0.25), counts, counts, counts * 3),
        pairs=Pairs(
            tolerance_s=60.0,
            confusion=np.arange(9).reshape(3, 3),
            calibration=Calibration(
                np.eye(2, 10, dtype=np.int64) * 4, np.eye(2, 10, dtype=np.int64), np.eye(2, 10) / 2
            ),
            offset_class=np.array([0, 1]),
            offset_s=np.array([-2.5, 1.0]),
        ),
        timeline=GameTimeline(
            game="league/season/a - b",
            classes=("goal", "card"),
            frame_rate=FrameRate(2.0),
            segmentation=(np.full((300, 2), 0.25, np.float32), np.full((280, 2), 0.75, np.float32)),
            actions=np.array([[0, 100, 0, 1], [1, 50, 1, 1]]),
            spots=Spots(np.array([0]), np.array([104]), np.array([0]), np.array([0.9], np.float32)),
        ),
        nms_window_s=None,
        loss=LossConfig(zones=Zones(((-40.0, -20.0, 60.0, 90.0), (-20.0, -10.0, 10.0, 20.0)))),
    )


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_table_says_what_the_numbers_are(analysis: Analysis, tmp_path: Path) -> None:
    write_analysis(analysis, tmp_path)
    per_class = table(tmp_path / "per-class.csv")
    assert [(row["class"], row["tolerance_s"]) for row in per_class][:3] == [
        ("goal", "5.0"),
        ("goal", "10.0"),
        ("card", "5.0"),
    ]
    assert (per_class[1]["true_positives"], per_class[1]["false_negatives"]) == ("3", "9")
    assert (per_class[1]["precision"], per_class[1]["recall"]) == ("0.5", "0.25")
    confusion = table(tmp_path / "confusion.csv")
    assert confusion[2] == {"action": "no action", "goal": "6", "card": "7", "not spotted": "8"}
    assert table(tmp_path / "offsets.csv")[0] == {"class": "goal", "offset_s": "-2.5"}
    assert table(tmp_path / "summary.csv")[0]["average_map_without_break"] == "0.6"


def test_bin_or_class_without_actions_has_no_score(analysis: Analysis, tmp_path: Path) -> None:
    write_analysis(analysis, tmp_path)
    empty, filled, *_ = table(tmp_path / "vicinity.csv")
    assert empty == {"bin_s": "0-10", "actions": "0", "average_map": "", "ap_goal": "", "ap_card": ""}
    assert (filled["average_map"], filled["ap_goal"], filled["ap_card"]) == ("0.5", "0.5", "")


def test_bins_without_a_right_spot_are_drawn() -> None:
    figure = bins_figure(groups(1), ["0-10"], whole=0.0, title="none", axis="s")
    assert figure.axes[0].get_ylim() == (0.0, 1.0)


LONG_NAMES = ("attack-over-the-left-outer-lane-that-ends-with-a-shot-0", "attack-over-the-left-outer-lane-1")


def overlap(figure: Figure, texts: Sequence[Text]) -> bool:
    """Whether two of these texts overlap, or one leaves the figure."""
    figure.draw_without_rendering()  # type: ignore[no-untyped-call]
    boxes = [text.get_window_extent() for text in texts]
    inside = [
        figure.bbox.containsx(x) and figure.bbox.containsy(y) for box in boxes for x, y in box.corners()
    ]
    return not all(inside) or any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_bins_of_many_parts_have_labels_that_do_not_overlap() -> None:
    for parts in (2, 3, 4):
        labels = game_time_labels(parts)
        figure = bins_figure(groups(len(labels)), labels, whole=0.5, title="parts", axis="minutes")
        for axes in figure.axes:
            assert not overlap(figure, axes.get_xticklabels()), parts


def test_bins_after_the_last_action_of_every_part_are_not_drawn() -> None:
    empty, filled = groups(2)
    parts = [[filled] * played + [empty] * (10 - played) for played in (2, 3, 1)]
    assert played_bins([group for part in parts for group in part], 3) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert played_bins([empty] * 20, 2) == [0, 10]


def test_class_without_spots_is_not_shown_as_calibrated(analysis: Analysis) -> None:
    found = analysis.pairs.calibration
    nothing = Calibration(
        *(np.vstack([table, 0 * table[:1]]) for table in (found.spots, found.right, found.confidence))
    )
    figure = calibration_figure(nothing, (*analysis.classes, "throw-in"), 60.0)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 3 and not any("throw-in" in text for text in texts)


def test_legends_lie_beside_the_curves(analysis: Analysis) -> None:
    found = analysis.pairs.calibration
    many = Calibration(*(np.tile(table, (8, 1)) for table in (found.spots, found.right, found.confidence)))
    figures = (
        calibration_figure(many, LONG_NAMES * 8, 60.0),
        class_results_figure(analysis.results, analysis.classes, "test", present=(True, True)),
    )
    for figure in figures:
        figure.draw_without_rendering()
        boxes = [legend.get_window_extent() for legend in figure.legends]
        assert boxes and not any(axes.bbox.overlaps(box) for axes in figure.axes for box in boxes)


def test_long_names_of_classes_neither_overlap_nor_leave_the_figure(analysis: Analysis) -> None:
    timeline = replace(analysis.timeline, classes=LONG_NAMES)
    assert analysis.loss is not None
    results = class_results_figure(analysis.results, LONG_NAMES, "test", present=(True, False))
    losses = loss_figure(analysis.loss, LONG_NAMES, FrameRate(2.0))
    for figure in (results, losses):
        assert not overlap(figure, [axes.title for axes in figure.axes if axes.get_title()])
    halves = timeline_figure(timeline)
    assert not overlap(halves, [axes.yaxis.label for axes in halves.axes if axes.get_ylabel()])


def test_the_same_analysis_gives_the_same_bytes(analysis: Analysis, tmp_path: Path) -> None:
    first, second = (results_folder(tmp_path / name) for name in ("first", "second"))
    files = write_analysis(analysis, first)
    write_analysis(analysis, second)
    assert len(files) == 25
    for file in files:
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


def test_network_without_zones_has_no_figures_of_them(analysis: Analysis, tmp_path: Path) -> None:
    names = {file.name for file in write_analysis(replace(analysis, loss=None), tmp_path)}
    assert not names & {"zones.png", "loss.png"} and "timeline.svg" in names


def test_bins_are_named_by_what_they_hold() -> None:
    labels = game_time_labels()
    assert (labels[0], labels[8:11], labels[-1]) == ("0-5", ["40-45", "45+", "45-50"], "90+")
    assert game_time_labels(1)[-2:] == ["85-90", "90+"] and game_time_labels(3)[10] == "2: 0-5"
    labels = vicinity_labels(VICINITY_EDGES_S)
    assert (labels[0], labels[-1], len(labels)) == ("0-10", "600+", 11)


def test_file_in_the_place_of_the_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot create the folder for results"):
        results_folder(tmp_path / "taken")


def test_analysis_scores_with_the_tolerances_and_the_suppression_that_it_is_given(
    small_plan: StudyPlan, tmp_path: Path
) -> None:
    slot = small_plan.task.slot(small_plan.study, {"f": 2}, small_plan.shape, seed=0, data_seed=0)
    small_plan.task.save_network(slot, small_plan.shape, small_plan.shared(), tmp_path / "best.pt", {})
    trained, valid = TrainedNetwork.load(tmp_path / "best.pt"), open_reference(small_plan.valid)
    options: dict[str, Any] = {"nms_window_s": 20.0, "tolerances_s": TIGHT_TOLERANCES_S}
    device = torch.device("cpu")
    found = analyse(trained, valid, valid, game=None, device=device, progress=lambda *_: None, **options)
    spots = find_spots(trained.network, valid, precision="float32", device=device)
    options |= {"classes": len(valid.classes), "frame_rate": valid.frame_rate}
    assert found.scores.average_map == average_map(spots, valid.actions, **options).average_map > 0
    assert (found.nms_window_s, found.pairs.tolerance_s) == (20.0, 5.0)


def test_summary_names_tolerances_and_suppression_that_are_not_the_paper_s(analysis: Analysis) -> None:
    results = analysis.results
    usual = replace(analysis, results=replace(results, tolerances_s=LOOSE_TOLERANCES_S))
    assert summary_lines(usual)[0].endswith("in float32")
    other = replace(usual, results=replace(results, tolerances_s=TIGHT_TOLERANCES_S), nms_window_s=20.0)
    assert summary_lines(other)[0].endswith("float32, tolerances of 1 to 5 s, suppression 20 s wide")


def test_class_without_actions_is_named_with_both_means_and_has_neither_recall_nor_f1(
    analysis: Analysis,
) -> None:
    scores = replace(analysis.scores, average_map=0.25, present=(True, False))
    lacking = replace(analysis, scores=scores)
    first, _, last = summary_lines(lacking)
    assert first.startswith("Average-mAP 0.2500 over all 2 classes, 0.5000 over the 1 present, on 2 games")
    assert last == "no actions in this split: card"
    assert len(summary_lines(analysis)) == 2
    assert [row[-1] for row in per_class_rows(lacking)] == [
        "f1",
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        "",
        "",
    ]
    assert [row[-1] for row in per_class_rows(analysis)].count("") == 0
    figure = class_results_figure(lacking.results, lacking.classes, "test", present=scores.present)
    _, recall, _ = figure.axes[2].lines
    assert figure.axes[2].get_title() == "card (no actions)" and np.isnan(recall.get_ydata()).all()
