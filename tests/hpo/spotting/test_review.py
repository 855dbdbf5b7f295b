import csv
from pathlib import Path

import numpy as np
import pytest

from hpo.spotting.review import COLUMNS, precision_table, read_review, write_precision, write_review
from model.errors import DataError, UserError
from model.inference.clips import Clip, Moment
from model.metrics.review import THRESHOLDS, reviewed_precision

GAME = "league/season/Arsenal - Leicester City, 4 - 3"


def clip(half: int, start_s: float, score: float) -> Clip:
    moment = Moment(
        kind="sequence", half=half, class_index=0, start_s=start_s + 15, stop_s=start_s + 25, score=score
    )
    return Clip(half=half, start_s=start_s, stop_s=start_s + 45, moments=(moment,))


def review(folder: Path, *rows: str) -> Path:
    file = folder / "review.csv"
    file.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return file


def mistakes(file: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_review(file)
    return [f"{problem.place}: {problem.message}" for problem in caught.value.problems]


def test_written_review_comes_back_once_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "opportunities.csv"
    write_review(file, [(GAME, clip(0, 600.0, 0.75)), (GAME, clip(1, 59.5, 0.5))], cut_at=0.45)
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[1] == {
        "game": GAME,
        "half": "2",
        "start": "00:59",
        "end": "01:44",
        "peak_score": "0.500000",
        "threshold": "0.45",
        "reviewer_1": "",
        "reviewer_2": "",
    }
    answered = (
        file.read_text().replace("0.750000,0.45,,", "0.750000,0.45,Yes,y").replace(",0.45,,", ",0.45,no, N")
    )
    file.write_text("\ufeff" + answered.replace("\n", "\r\n"))  # as a spreadsheet saves it
    read = read_review(file)
    assert (read.peaks.tolist(), read.cut_at) == ([0.75, 0.5], 0.45)
    np.testing.assert_array_equal(read.verdicts, [[True, True], [False, False]])


@pytest.mark.parametrize(
    ("cut_at", "thresholds"), [(0.8, (0.9, 0.85, 0.8)), (0.87, (0.9, 0.87)), (0.95, (0.95,))]
)
def test_curve_ends_where_the_sequences_were_cut(
    cut_at: float, thresholds: tuple[float, ...], tmp_path: Path
) -> None:
    file = tmp_path / "opportunities.csv"
    write_review(file, [(GAME, clip(0, 600.0, 0.96))], cut_at=cut_at)
    file.write_text(file.read_text().replace(",,", ",yes,no"))
    read = read_review(file)
    found = reviewed_precision(read.peaks, read.verdicts, read.thresholds)
    assert [(row.threshold, row.sequences) for row in found] == [(threshold, 1) for threshold in thresholds]
    assert len(write_precision(found, tmp_path)) == 3


@pytest.mark.parametrize("cut_at", [0.649988, 0.64998834])
def test_curve_counts_every_written_sequence_and_names_each_threshold(cut_at: float, tmp_path: Path) -> None:
    file = tmp_path / "opportunities.csv"
    peaks = (0.7, 0.64999, 0.6499882, 0.649988)
    clips = [(GAME, clip(0, 100.0 * place, peak)) for place, peak in enumerate(peaks)]
    assert write_review(file, clips, cut_at=cut_at) == 2
    file.write_text(file.read_text().replace(",,", ",yes,no"))
    read = read_review(file)
    found = reviewed_precision(read.peaks, read.verdicts, read.thresholds)
    assert found[-1].sequences == len(read.peaks) == 2
    assert list(precision_table(found).columns[0].cells)[-3:] == ["0.70", "0.65", "0.649988"]


def test_table_that_does_not_say_where_it_was_cut_gives_the_whole_curve(tmp_path: Path) -> None:
    file = review(tmp_path, "g,1,0,5,0.9,yes,no")
    assert read_review(file).thresholds == THRESHOLDS
    file.write_text(f"{','.join(COLUMNS)},threshold\ng,1,0,5,0.9,yes,no,many\n")
    assert mistakes(file) == ["line 2: expected a threshold from 0 to 1, got 'many'"]


def test_answers_are_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "opportunities.csv"
    write_review(file, [(GAME, clip(0, 600.0, 0.75))], cut_at=0.3)
    write_review(file, [(GAME, clip(0, 600.0, 0.75))], cut_at=0.3)
    file.write_text(file.read_text().replace(",0.3,,", ",0.3,yes,"))
    with pytest.raises(UserError, match="may contain answers"):
        write_review(file, [(GAME, clip(0, 600.0, 0.75))], cut_at=0.3)
    assert ",yes," in file.read_text()


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    file = review(
        tmp_path,
        "g,1,00:10,00:50,0.5,yes,no",
        "g,1,01:10,01:50,0.5,perhaps,",
        "g,1,02:10,02:50,1.5,yes,no",
        "g,1,00:10,00:50,0.5,no,no",
        "g,1,03:10",
    )
    assert mistakes(file) == [
        "line 3: expected yes or no under reviewer_1, got 'perhaps'",
        "line 3: expected yes or no under reviewer_2, got ''",
        "line 4: expected a peak_score from 0 to 1, got '1.5'",
        "line 5: repeats the sequence of line 2",
        "line 6: expected a peak_score from 0 to 1, got ''",
        "line 6: expected yes or no under reviewer_1, got ''",
        "line 6: expected yes or no under reviewer_2, got ''",
    ]


def test_file_that_is_no_review_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("game;half;start\n")
    with pytest.raises(DataError, match="end is missing, peak_score is missing, reviewer_1 is missing"):
        read_review(file)
    with pytest.raises(DataError, match="has no rows"):
        read_review(review(tmp_path))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot read the review table as CSV"):
        read_review(file)
    with pytest.raises(DataError, match="cannot read the review table as CSV"):
        read_review(tmp_path / "nowhere.csv")


def test_review_may_come_from_a_spreadsheet_with_decimal_commas(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    file.write_text(";".join(COLUMNS) + "\ng;1;0;5;0,75;yes;no\n")
    read = read_review(file)
    assert read.peaks.tolist() == [0.75] and read.verdicts.tolist() == [[True, False]]


def test_curve_is_written_as_table_and_figure(tmp_path: Path) -> None:
    found = reviewed_precision(np.array([0.8, 0.5]), np.array([[True, True], [True, False]]), THRESHOLDS)
    files = write_precision(found, tmp_path)
    assert [file.name for file in files] == ["precision.csv", "precision.png", "precision.svg"]
    with files[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["sequences"] == "0" and rows[0]["precision"] == ""
    assert (rows[-1]["threshold"], rows[-1]["sequences"], rows[-1]["precision"]) == ("0.3", "2", "0.5")
    assert precision_table(found).row_count == 13
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_precision(found, tmp_path)] == before
