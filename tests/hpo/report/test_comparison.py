import json
import math
from dataclasses import replace

import pytest

from hpo.journal.paired import PairedDifference
from hpo.report.comparison import Comparison, PairedRow, comparison_record, show_comparison
from hpo.tasks.base.networks import NetworkDifference

GAMES = NetworkDifference(items=9, draws=1000, scores=(0.5, 0.4), low=0.02, high=0.2)


def comparison(pairs: int, half_width: float) -> Comparison:
    row = PairedRow(
        stage="final",
        configuration="found",
        same_parameters=False,
        seeds=pairs,
        means=(0.5, 0.4),
        difference=PairedDifference(mean=0.1, half_width=half_width, pairs=pairs),
    )
    return Comparison(
        names=("one", "two"),
        split="valid",
        settings={"seed": (0, 1)},
        scores={"Average-mAP": (0.5, None)},
        parameters={"f": (3, 8)},
        paired=[row],
        networks=GAMES,
        unit="games",
        remarks=["a reason"],
    )


def test_numbers_that_differ_look_different(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"hyperparameters.x": (0.60001, 0.6), "epochs": (2, 2.0)}
    show_comparison(replace(comparison(3, 0.05), settings=settings, parameters={"beta": (0.12345, 0.12349)}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for row in (
        ["hyperparameters.x", "0.60001", "0.6"],
        ["beta", "0.12345", "0.12349"],
        ["epochs", "2", "2"],
    ):
        assert row in lines


def test_record_is_standard_json_and_an_interval_that_is_not_there_is_null() -> None:
    record = json.loads(json.dumps(comparison_record(comparison(1, math.inf)), allow_nan=False))
    assert record["paired"][0]["difference"] == {"mean": 0.1, "half_width": None, "pairs": 1}
    assert record["networks"]["difference"] == pytest.approx(0.1)
    assert comparison_record(comparison(3, 0.05))["paired"][0]["difference"]["half_width"] == 0.05


def test_people_read_both_sides_the_difference_and_what_cannot_be_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_comparison(comparison(3, 0.05))
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    assert lines["Average-mAP"] == ["0.5000", "-"]
    assert lines["f"] == ["3", "8"]
    assert "+0.1000 ± 0.0500" in said
    assert (
        "difference +0.1000 (95 % interval over 1,000 draws of the games: +0.0200 to +0.2000; clear)" in said
    )
    assert "note: a reason" in said
    assert said.count("validation split") == 3 and "valid split" not in said
