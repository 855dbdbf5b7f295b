"""Files with points to try."""

from pathlib import Path

import pytest

from hpo.config.point_file import read_points
from model.errors import ConfigError

ROWS = [{"f": 8, "r_s": 30.5}, {"matching": "none"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("points.csv", "f, r_s, matching\n8,30.5,\n,,none\n\n"),
        ("points.json", '[{"f": 8, "r_s": 30.5}, {"matching": "none"}]'),
        (
            "points.json",
            '{"best": [{"trial": "a", "parameters": {"f": 8, "r_s": 30.5}}, {"matching": "none"}]}',
        ),
        ("points.toml", '[[try]]\nf = 8\nr_s = 30.5\n[[try]]\nmatching = "none"\n'),
    ],
)
def test_points_are_read_from_each_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    points = read_points(tmp_path / name)
    assert (points.source, list(points.rows)) == (str(tmp_path / name), ROWS)


def test_spreadsheets_may_write_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    for top in ("", "\n", "sep=;\n"):
        (tmp_path / "points.csv").write_text(f"{top}f;r_s;matching\n8;30,5;\n;;none\n")
        assert list(read_points(tmp_path / "points.csv").rows) == ROWS


def test_choice_that_reads_like_a_number_that_is_none_stays_a_text(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b,c\nnan,inf,1e3\n")
    points = read_points(tmp_path / "points.csv")
    assert list(points.rows) == [{"a": "nan", "b": "inf", "c": 1000.0}]
    assert list(points.cells) == [{"a": "nan", "b": "inf", "c": "1e3"}]


def test_one_table_is_one_point(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("f = 8\nK1.goal = -40\n")
    assert list(read_points(tmp_path / "one.toml").rows) == [{"f": 8, "K1.goal": -40}]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("points.txt", "f", r"ending in .csv, .json or .toml"),
        ("points.csv", "", "one or more points to try, got none"),
        ("points.csv", "f,f\n1,2\n", "different symbols in the first line, got f,f"),
        ("points.csv", "f,r_s\n1,2,3\n", "expected 2 cells as in the first line, got 3"),
        ("points.csv", 'f\n"1', "cannot read the points to try"),
        ("points.json", "3", "expected a list of points, got 3"),
        ("points.json", "[3]", "expected a table of hyperparameters, got 3"),
        ("points.json", "[", "cannot read the points to try"),
        ("points.toml", "f = ", "cannot read the points to try"),
    ],
)
def test_file_that_has_no_points_is_refused(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=complaint) as refusal:
        read_points(tmp_path / name)
    assert name in str(refusal.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the points to try") as refusal:
        read_points(tmp_path / "none.csv")
    assert refusal.value.details["file"].endswith("none.csv")
