import io
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hpo.tasks.bmn.presentation.samples import TABLE_3, SampleComparison, compare_samples, samples_table

# R's data set of sleep: what two drugs added, in hours.
SLEEP_A = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_B = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def numbers_of(compared: SampleComparison) -> list[float | None]:
    samples = [getattr(part, field.name) for part in (compared.a, compared.b) for field in fields(part)]
    tests = [compared.equal_variances_p, compared.equal_means_p, compared.half_width, compared.difference]
    return [*samples, *tests]


def text_of(table: object) -> list[list[str]]:
    output = io.StringIO()
    Console(file=output, width=300).print(table)
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.getvalue().splitlines()
    ]


def normal(mean: float, sd: float, n: int, seed: int) -> list[float]:
    """n values with just this mean and standard deviation."""
    drawn = np.random.default_rng(seed).normal(size=n)
    return (mean + sd * (drawn - drawn.mean()) / drawn.std(ddof=1)).tolist()


def test_student_s_data_of_sleep_give_the_known_numbers() -> None:
    """In R, t.test(extra ~ group, data = sleep, var.equal = TRUE)."""
    compared = compare_samples(SLEEP_A, SLEEP_B)
    assert (compared.a.n, compared.a.mean) == (10, pytest.approx(0.75))
    assert compared.a.sd == pytest.approx(1.789010, abs=1e-6)
    assert compared.test == "Student" and compared.equal_means_p == pytest.approx(0.07919, abs=1e-5)
    assert compared.difference == pytest.approx(1.58)
    assert compared.half_width == pytest.approx((0.203874 + 3.363874) / 2, abs=1e-6)
    assert compared.equal_variances_p is not None and compared.equal_variances_p > 0.5


def test_the_paper_s_means_and_spreads_give_the_paper_s_p_values() -> None:
    paper = TABLE_3["Average-mAP"]
    assert paper.code_sd is not None and paper.ours_sd is not None
    compared = compare_samples(
        normal(paper.code, paper.code_sd, 20, seed=1), normal(paper.ours, paper.ours_sd, 20, seed=2)
    )
    assert compared.test == "Student" and compared.equal_means_p is not None
    # Rounded means and deviations tell the power of ten, not the digits; Bartlett's p likewise.
    assert 1e-19 < compared.equal_means_p < 1e-16
    assert compared.equal_variances_p == pytest.approx(0.62, abs=0.1)


def test_unequal_variances_are_compared_by_welch_s_test() -> None:
    narrow, wide = normal(0.5, 0.001, 20, seed=1), normal(0.52, 0.05, 10, seed=2)
    compared = compare_samples(narrow, wide)
    assert compared.equal_variances_p is not None and compared.equal_variances_p < 0.05
    assert compared.test == "Welch"
    # By hand: the narrow one adds next to nothing, so that 9 degrees of freedom are left.
    assert compared.half_width == pytest.approx(2.262 * 0.05 / math.sqrt(10), rel=1e-2)


def test_normality_is_told_from_a_sample_that_is_none() -> None:
    skewed = [math.exp(value) for value in normal(0.0, 1.5, 40, seed=3)]
    compared = compare_samples(normal(0.0, 1.0, 40, seed=3), skewed)
    assert compared.a.normality_p is not None and compared.a.normality_p > 0.1
    assert compared.b.normality_p is not None and compared.b.normality_p < 1e-3


def test_swapping_the_samples_turns_the_difference_only() -> None:
    forth, back = compare_samples(SLEEP_A, SLEEP_B), compare_samples(SLEEP_B, SLEEP_A)
    assert forth.difference is not None and back.difference == -forth.difference
    assert back.equal_means_p == pytest.approx(forth.equal_means_p)
    assert back.half_width == pytest.approx(forth.half_width)


@pytest.mark.parametrize("few", [[], [0.5], [0.5, 0.5, 0.5], [0.1 + 0.2, 0.3] * 5])
def test_samples_that_cannot_be_tested_have_none_in_place_of_p_values(few: list[float]) -> None:
    for compared in (compare_samples(few, SLEEP_A), compare_samples(SLEEP_A, few)):
        assert compared.test is None
        assert [compared.equal_variances_p, compared.equal_means_p, compared.half_width] == [None] * 3
        assert (compared.difference is None) == (not few)
    compared = compare_samples(few, SLEEP_A)
    assert compared.a.normality_p is None and (compared.a.sd is None) == (len(few) < 2)


def test_seven_values_are_too_few_for_normality() -> None:
    compared = compare_samples(SLEEP_A[:7], SLEEP_B[:8])
    assert compared.a.normality_p is None and compared.b.normality_p is not None
    assert compared.equal_means_p is not None


VALUES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.5 + 1e-16, 0.5 + 1e-11, 1.0]), max_size=12)


@given(VALUES, VALUES)
def test_nothing_is_ever_nan_and_no_warning_is_given(a: list[float], b: list[float]) -> None:
    assert all(number is None or math.isfinite(number) for number in numbers_of(compare_samples(a, b)))


def test_the_table_has_both_samples_and_the_paper_s_numbers() -> None:
    a = {"AR@100": normal(0.7511, 0.001, 20, 1), "Average-mAP": normal(0.3067, 0.0008, 20, 2)}
    b = {"AR@100": normal(0.7526, 0.001, 20, 3), "Average-mAP": normal(0.3105, 0.0007, 20, 4)}
    head, recall, detection = text_of(samples_table(a, b, names=("bmn", "context-aware"), published=TABLE_3))
    assert head[:5] == ["metric", "runs", "bmn", "context-aware", "unpaired difference"]
    assert recall[:4] == ["AR@100", "20, 20", "0.7511 ± 0.0010", "0.7526 ± 0.0010"]
    assert recall[4] == "+0.0015 ± 0.0006" and recall[-4:] == ["0.7511", "0.7526", "+0.0015", "0.0074"]
    assert detection[-5].endswith("(Student)")
    assert detection[-4:] == ["0.3067 ± 0.0008", "0.3105 ± 0.0007", "+0.0038", "2.3e-18"]
    assert head[8:] == ["paper: BMN", "paper: with Lseg", "paper: difference", "paper: p of means"]
    assert len(head) == len(recall) == len(detection) == 12


def test_the_table_fits_into_a_file() -> None:
    scores = {metric: normal(0.5, 0.01, 20, 1) for metric in TABLE_3}
    output = io.StringIO()
    Console(file=output, width=220).print(
        samples_table(scores, scores, names=("bmn", "context-aware"), published=TABLE_3)
    )
    assert len(output.getvalue().splitlines()) == 4


def test_without_numbers_of_the_paper_there_are_no_columns_of_it_and_one_run_has_no_p_values() -> None:
    head, row = text_of(samples_table({"f1": [0.5]}, {"f1": [0.6]}, names=("a", "b"), published={}))
    assert len(head) == 8 and "paper: BMN" not in head
    assert row == ["f1", "1, 1", "0.5000", "0.6000", "+0.1000", "-, -", "-", "-"]
