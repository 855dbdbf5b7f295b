"""Hyperparameters go by the paper's symbols."""

import pytest

from hpo.space.symbols import symbol


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f", "f"),
        ("r_frames", "r"),
        ("r_s", "r_s"),
        ("alpha2", "alpha2"),
        ("lambda_seg", "lambda_seg"),
        ("tau_max", "tau_max"),
        ("K4_frames.goal", "K4.goal"),
        ("K1_frames.shots-on-target", "K1.shots-on-target"),
        ("K1.goal", "K1.goal"),
        ("K2_frames.yellow->red-card", "K2.yellow->red-card"),
        ("K1_positions", "K1"),
        ("num_positions", "num_positions"),
        ("window_frames", "window_frames"),
        ("window_frames.goal", "window_frames.goal"),
    ],
)
def test_a_symbol_of_the_paper_is_the_name_without_its_unit_except_seconds(name: str, expected: str) -> None:
    assert symbol(name) == expected
