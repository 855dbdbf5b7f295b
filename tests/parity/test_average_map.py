"""Average-mAP beside both published codes and the SoccerNet package, on the same detections."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from parity.golden import Case, cases, files

from model.data.labels.label_file import read_actions
from model.data.layout.description import DatasetDescription
from model.metrics.average_map import (
    LOOSE_TOLERANCES_S,
    TIGHT_TOLERANCES_S,
    AverageMap,
    SpottingScore,
    score_spots,
)
from model.metrics.matching import Matching
from model.metrics.precision_recall import precision_recall
from model.spots import Spots, suppress
from model.timeline import FrameRate

RATE = FrameRate(2.0)
TOLERANCES_S = {"loose": LOOSE_TOLERANCES_S, "tight": TIGHT_TOLERANCES_S}
RUNS = {
    # Prefix of the arrays -> width of the suppression, None for that of each tolerance; tolerances.
    "pt": (20.0, LOOSE_TOLERANCES_S),
    "pt_noNMS": (0.0, LOOSE_TOLERANCES_S),
    "pkg_loose": (20.0, LOOSE_TOLERANCES_S),
    "pkg_tight": (20.0, TIGHT_TOLERANCES_S),
    "pkgjson_loose": (20.0, LOOSE_TOLERANCES_S),
    "keras": (None, LOOSE_TOLERANCES_S),
    "keras_noNMS": (0.0, LOOSE_TOLERANCES_S),
    "keras_on_nms20s": (20.0, LOOSE_TOLERANCES_S),
}
PACKAGE_HALF_S = 120 * 60
"""The package counts later actions and spots as in the last frame."""

every_case = pytest.mark.parametrize(
    "case",
    cases("6_average_map*.npz", having=["in_gt", "in_det_hfc", "in_det_score", "pt_AP_per_delta_class"]),
)


@every_case
def test_scores_are_those_of_the_published_codes_and_of_the_package(case: Case) -> None:
    compared = set()
    for source, (window_s, tolerances_s) in RUNS.items():
        if f"{source}_a_mAP" not in case.names:
            continue
        score = score_spots(
            spots_of(case),
            actions_of(case),
            classes=classes_of(case),
            frame_rate=RATE,
            nms_window_s=window_s,
            tolerances_s=tolerances_s,
        )
        for name, value in as_published(score).items():
            if f"{source}_{name}" in case.names:
                compared.add(source)
                close(value, case[f"{source}_{name}"], f"{source}_{name}")
    assert compared >= {"pt", "pt_noNMS", "pkg_loose", "pkg_tight"}


@every_case
def test_suppression_of_20_seconds_keeps_the_same_spots(case: Case) -> None:
    kept = suppress(spots_of(case), 40)
    rows = np.column_stack([kept.half, kept.frame, kept.class_index])
    np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(case["pt_nms20s_hfc"], axis=0))


@every_case
def test_precision_and_recall_at_200_thresholds_are_those_of_the_published_codes(case: Case) -> None:
    matching = Matching(suppress(spots_of(case), 40), actions_of(case))
    ours = precision_recall(matching, classes=classes_of(case), tolerances_frames=[40])[0].all
    for source in ("pt", "keras"):
        if f"{source}_recall_delta20s" in case.names:
            expected = (case[f"{source}_{name}_delta20s"].T for name in ("recall", "precision"))
            for mine, published in zip(points(ours.recall, ours.precision), points(*expected), strict=True):
                close(mine, published, source)


@pytest.mark.parametrize("file", files("6_average_map_json_*.json"), ids=lambda file: file.stem)
def test_scores_of_json_files_are_those_of_the_package(file: Path, tmp_path: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    rate, classes = FrameRate(content["framerate"]), content["class_names"]
    actions, detections = {}, {}
    for game, entry in enumerate(content["games"].values()):
        actions.update(labels_of(entry["labels"], game, classes, rate, tmp_path / "Labels.json"))
        detections.update(predictions_of(entry["predictions"], game, classes, rate))
    spots = Spots.from_rows(*rows_of(detections).T, np.array(list(detections.values())))
    rows = np.column_stack([rows_of(actions), list(actions.values())])
    for key, expected in content.items():
        if key.startswith("expected_"):
            score = score_spots(
                spots,
                rows.astype(np.int64),
                classes=len(classes),
                frame_rate=rate,
                nms_window_s=0.0,
                tolerances_s=TOLERANCES_S[key.removeprefix("expected_")],
            )
            ours = as_published(score)
            for name, value in expected.items():
                close(ours[name], value, f"{key}: {name}")


def spots_of(case: Case) -> Spots:
    return Spots.from_rows(*case["in_det_hfc"].astype(np.int64).T, case["in_det_score"])


def actions_of(case: Case) -> npt.NDArray[np.int64]:
    rows = case["in_gt"].astype(np.int64)
    return np.column_stack([rows[:, :3], rows[:, 3] > 0])


def classes_of(case: Case) -> int:
    return int(case["pt_AP_per_delta_class"].shape[1])


def as_published(score: SpottingScore) -> dict[str, Any]:
    """All numbers under the names that the published codes give them."""
    numbers: dict[str, Any] = {}
    for suffix, part in (("", score.all), ("_visible", score.visible), ("_unshown", score.unshown)):
        numbers[f"a_mAP{suffix}"] = part.average_map
        numbers[f"a_mAP_per_class{suffix}"] = part.per_class
        numbers[f"mAP{suffix}_per_delta"] = part.average_precision.mean(axis=1)
        numbers[f"AP{suffix}_per_delta_class"] = part.average_precision
    numbers["a_mAP_unshown"] = unshown_as_published(score.unshown)
    return numbers


def unshown_as_published(unshown: AverageMap) -> float:
    """A mean over all classes times 17/13, whatever the number of classes."""
    return unshown.average_map * float(unshown.counted.mean()) * 17 / 13


def points(
    recall: npt.NDArray[np.float64], precision: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.float64]]:
    """Pairs of a class in the order of recall: the published codes sort them so, ties in any order."""
    order = np.lexsort((precision, recall))
    return [np.take_along_axis(values, order, axis=1) for values in (recall, precision)]


def close(ours: Any, published: Any, name: str) -> None:
    np.testing.assert_allclose(ours, published, rtol=0, atol=1e-9, err_msg=name)


Cell = tuple[int, int, int]
"""Half, frame, class; the package keeps the last of several annotations or predictions in one."""


def labels_of(
    labels: list[dict[str, Any]], game: int, classes: list[str], rate: FrameRate, file: Path
) -> dict[Cell, bool]:
    file.write_text(json.dumps({"annotations": labels}), encoding="utf-8")
    description = DatasetDescription(
        name="golden",
        frame_rate=rate,
        labels_file=file.name,
        classes=tuple(classes),
        patterns={name: (name,) for name in classes},
        ignored=("*",),
        features={},
        splits={},
    )
    return {
        (2 * game + action.half - 1, frame_of(action.time_s, rate), action.class_index): action.visible
        for action in read_actions(file, description)
    }


def predictions_of(
    predictions: list[dict[str, Any]], game: int, classes: list[str], rate: FrameRate
) -> dict[Cell, float]:
    return {
        (
            2 * game + int(row["half"]) - 1,
            frame_of(int(row["position"]) / 1000, rate),
            classes.index(row["label"]),
        ): float(row["confidence"])
        for row in predictions
        if row["label"] in classes
    }


def frame_of(time_s: float, rate: FrameRate) -> int:
    return min(int(rate.per_second * time_s), int(rate.per_second * PACKAGE_HALF_S) - 1)


def rows_of(cells: dict[Cell, Any]) -> npt.NDArray[np.int64]:
    return np.array(list(cells), dtype=np.int64).reshape(-1, 3)
