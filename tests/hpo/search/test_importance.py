import math

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from hpo.search.importance import LEAST_TRIALS, importance, sample_note
from hpo.search.optuna_study import quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Space

space = Space(
    [
        FloatParameter("idle", 0.0, 1.0),
        FloatParameter("rate", 1e-5, 1e-1, log=True),
        IntParameter("width", 1, 9),
        ChoiceParameter("kind", ("a", "b", "c")),
    ]
)


def scored(trials: int, *, noise: float = 0.0) -> list[ScoredPoint]:
    """Scores that fall fast off rate = 1e-3 and a little off width = 5, and know nothing else."""
    random = np.random.default_rng(0)
    points = [space.from_unit(u) for u in random.random((trials, space.dimensions))]
    return [
        ScoredPoint(
            point,
            -((math.log10(float(point["rate"])) + 3) ** 2) - (float(point["width"]) - 5) ** 2 / 40 + error,
        )
        for point, error in zip(
            points, random.normal(0.0, noise, trials) if noise else np.zeros(trials), strict=True
        )
    ]


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_parameter_that_moves_the_score_most_comes_first_and_idle_ones_count_little(noise: float) -> None:
    shares = importance(space, scored(60, noise=noise), seed=0)
    assert next(iter(shares)) == "rate"
    assert shares["rate"] > 0.7
    assert shares["idle"] < 0.1
    assert shares["kind"] < 0.1


def test_shares_sum_to_one_over_all_parameters() -> None:
    shares = importance(space, scored(20), seed=0)
    assert shares.keys() == set(space.names)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) >= 0


def test_same_seed_gives_the_same_shares() -> None:
    assert importance(space, scored(20), seed=3) == importance(space, scored(20), seed=3)


def test_lone_parameter_has_all_of_it() -> None:
    line = Space([FloatParameter("x", 0.0, 1.0)])
    points = [ScoredPoint({"x": x / 10}, x / 10) for x in range(10)]
    assert importance(line, points, seed=0) == {"x": 1.0}


def test_failed_trials_are_left_out() -> None:
    failed = ScoredPoint(space.from_unit(np.zeros(space.dimensions)), math.nan)
    assert importance(space, [failed, *scored(20)], seed=0) == importance(space, scored(20), seed=0)


def test_too_few_or_equal_scores_say_nothing() -> None:
    assert importance(space, scored(LEAST_TRIALS - 1), seed=0) == {}
    assert importance(space, [ScoredPoint(point.parameters, 0.5) for point in scored(20)], seed=0) == {}


def test_one_point_tried_again_and_again_says_nothing() -> None:
    point = space.from_unit(np.zeros(space.dimensions))
    assert importance(space, [ScoredPoint(point, number / 10) for number in range(20)], seed=0) == {}


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    importance(space, scored(20), seed=0)
    assert capfd.readouterr() == ("", "")


def test_shares_are_those_of_optunas_evaluator() -> None:
    # Optuna orders parameters by name, and a forest's ties depend on the order.
    numbers = [parameter for parameter in space.parameters if parameter.axes == 1]
    by_name = Space(sorted(numbers, key=lambda parameter: parameter.name))
    axes: dict[str, BaseDistribution] = dict.fromkeys(by_name.names, FloatDistribution(0.0, 1.0))
    points = [
        ScoredPoint({name: point.parameters[name] for name in by_name.names}, point.score)
        for point in scored(40, noise=0.1)
    ]
    with quiet_study() as study:
        for point in points:
            place = dict(zip(by_name.names, by_name.to_unit(point.parameters).tolist(), strict=True))
            study.add_trial(create_trial(params=place, distributions=axes, value=point.score))
        expected = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=5))
    assert importance(by_name, points, seed=5) == pytest.approx(expected)


def test_of_more_scores_than_the_most_a_sample_is_used_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.search.importance.MOST_TRIALS", 50)
    points = scored(400)
    shares = importance(space, points, seed=1)
    assert shares != importance(space, points[:50], seed=1)
    assert shares == importance(space, points, seed=1)
    assert next(iter(shares)) == "rate"
    assert sample_note(400) == "from 50 of 400 configurations, drawn at random"
    assert sample_note(50) == ""


def test_a_text_counts_wherever_it_is_in_the_list_and_fixed_parameters_do_not() -> None:
    texts = Space(
        [
            ChoiceParameter("word", ("a", "b", "c", "d")),
            FloatParameter("idle", 0.0, 1.0),
            IntParameter("fixed", 4, 4),
            FloatParameter("zone", 0.0, 1.0, when=(("word", "b"),)),
        ]
    )
    random = np.random.default_rng(0)
    points = [texts.from_unit(u) for u in random.random((60, texts.dimensions))]
    shares = importance(texts, [ScoredPoint(point, float(point["word"] == "b")) for point in points], seed=0)
    assert next(iter(shares)) == "word" and shares["word"] > 0.9
    assert set(shares) == {"word", "idle", "zone"}


def test_space_of_fixed_parameters_has_no_importance() -> None:
    fixed = Space([IntParameter("n", 4, 4)])
    assert importance(fixed, [ScoredPoint({"n": 4}, number / 10) for number in range(9)], seed=0) == {}
