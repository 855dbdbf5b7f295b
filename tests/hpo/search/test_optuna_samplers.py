import logging
import warnings

import numpy as np
import optuna
import pytest

from hpo.search import optuna_samplers
from hpo.search.optuna_samplers import INITIAL_POINTS, NewSampler, OptunaSearcher, gp_sampler, tpe_sampler
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Space

square = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 1.0, 10.0, log=True)])
SAMPLERS = [gp_sampler, tpe_sampler]


def hill(searcher: OptunaSearcher, trials: int) -> None:
    """Ask and tell ``trials`` points of a hill whose top is at (0.3, 0.6) of the unit square."""
    for _ in range(trials):
        name = f"t{len(searcher.trials)}"
        assert searcher.ask(name) is not None
        point = searcher.trials[name].point
        searcher.tell(name, 1 - float(np.sum((point - [0.3, 0.6]) ** 2)))


def test_gaussian_process_walks_to_the_top_of_a_smooth_hill() -> None:
    searcher = OptunaSearcher(square, seed=0, sampler=gp_sampler)
    hill(searcher, INITIAL_POINTS + 7)
    best = max(searcher.trials.values(), key=lambda trial: trial.score or 0)
    np.testing.assert_allclose(best.point, [0.3, 0.6], atol=0.03)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_running_trials_move_the_next_one(sampler: NewSampler) -> None:
    searcher = OptunaSearcher(square, seed=0, sampler=sampler)
    hill(searcher, INITIAL_POINTS + 3)
    names = ["p0", "p1", "p2"]
    assert all(searcher.ask(name) for name in names)
    points = [searcher.trials[name].point for name in names]
    distances = [np.linalg.norm(points[a] - points[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > 0.01


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_far_more_trials_than_the_model_sees(sampler: NewSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_samplers, "POINTS_SEEN", 10)
    searcher = OptunaSearcher(Space([IntParameter("n", 1, 1000, log=True)]), seed=0, sampler=sampler)
    for number in range(300):
        searcher.replay(f"t{number}", {"n": 1 + number})
        searcher.tell(f"t{number}", number % 7 / 10)
    assert searcher.ask("next") is not None


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_choices_come_back_as_they_were_given(sampler: NewSampler) -> None:
    space = Space([ChoiceParameter("c", (0.5, 2, "auto")), FloatParameter("x", 0.0, 1.0)])
    searcher = OptunaSearcher(space, seed=0, sampler=sampler)
    for number in range(INITIAL_POINTS + 4):
        point = searcher.ask(f"t{number}")
        assert point is not None
        assert point["c"] in (0.5, 2, "auto")
        searcher.tell(f"t{number}", float(point["c"] == "auto"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_the_user_told_optuna_to_say_and_which_warnings_to_show_stay(sampler: NewSampler) -> None:
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    filters = list(warnings.filters)
    try:
        hill(OptunaSearcher(square, seed=0, sampler=sampler), INITIAL_POINTS + 1)
        assert optuna.logging.get_verbosity() == logging.DEBUG
        assert warnings.filters == filters
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
