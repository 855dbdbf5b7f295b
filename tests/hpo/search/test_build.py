from typing import get_args

import pytest

from hpo.config.stages import SearcherName
from hpo.search.build import build_searcher
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space
from model.errors import ConfigError

space = Space([FloatParameter("x", 0.0, 1.0)])


@pytest.mark.parametrize("name", get_args(SearcherName))
def test_every_name_that_a_study_file_may_say_has_a_searcher(name: str) -> None:
    assert build_searcher(name, space, seed=0).ask("t0") is not None


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        build_searcher("annealing", space, seed=0)
    assert caught.value.details["known"] == "bayes-opt, botorch, optuna-gp, optuna-tpe, random"
