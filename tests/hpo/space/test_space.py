import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Space
from model.errors import ConfigError

mixed = Space(
    [
        IntParameter("f", 4, 64, log=True),
        FloatParameter("beta", 0.05, 5.0, log=True),
        ChoiceParameter("sampler", ("paper", "balanced")),
    ]
)
finite = Space([IntParameter("f", 1, 3), ChoiceParameter("c", ("a", "b"))])


@given(st.lists(st.floats(-0.5, 1.5), min_size=4, max_size=4))
def test_every_point_of_the_cube_is_in_the_space_and_comes_back(point: list[float]) -> None:
    parameters = mixed.from_unit(np.array(point))
    assert mixed.contains(parameters)
    again = mixed.from_unit(mixed.to_unit(parameters))
    assert (again["f"], again["sampler"]) == (parameters["f"], parameters["sampler"])
    assert again["beta"] == pytest.approx(parameters["beta"])


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"f": 8, "beta": 0.5},
        {"f": 8, "beta": 0.5, "sampler": "paper", "r": 1},
        {"f": 65, "beta": 0.5, "sampler": "paper"},
        {"f": 8, "beta": 0.5, "sampler": "other"},
    ],
)
def test_parameters_with_other_names_or_values_are_outside(parameters: dict[str, int | float | str]) -> None:
    assert not mixed.contains(parameters)


def test_grid_holds_every_point_of_a_finite_space_once() -> None:
    points = [tuple(point.values()) for point in finite.grid()]
    assert points == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]
    assert finite.size() == 6


def test_continuous_space_has_neither_size_nor_grid() -> None:
    assert mixed.size() is None
    assert list(mixed.grid()) == []


def test_description_is_what_a_study_file_says() -> None:
    assert json.loads(json.dumps(mixed.describe())) == {
        "f": {"type": "int", "low": 4, "high": 64, "log": True},
        "beta": {"type": "float", "low": 0.05, "high": 5.0, "log": True},
        "sampler": {"type": "choice", "choices": ["paper", "balanced"]},
    }


def test_digest_tells_spaces_apart() -> None:
    spaces = [
        Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)]),
        Space([FloatParameter("y", 0.0, 1.0), FloatParameter("x", 0.0, 1.0)]),
        Space([FloatParameter("x", 0.0, 2.0), FloatParameter("y", 0.0, 1.0)]),
        Space([FloatParameter("x", 0.1, 1.0, log=True), FloatParameter("y", 0.0, 1.0)]),
        Space([IntParameter("x", 0, 1), FloatParameter("y", 0.0, 1.0)]),
        Space([FloatParameter("x", 0.0, 1.0)]),
    ]
    assert len({space.digest() for space in spaces}) == len(spaces)
    assert spaces[0].digest() == Space(spaces[0].parameters).digest()


def test_empty_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="one or more parameters"):
        Space([])


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="different names, got x, x"):
        Space([FloatParameter("x", 0.0, 1.0), FloatParameter("x", 0.0, 2.0)])


def test_space_survives_its_description_in_json() -> None:
    described = json.loads(json.dumps(mixed.describe()))
    assert Space.from_description(described).digest() == mixed.digest()


def test_fixed_parameter_takes_part_in_points_but_not_in_the_cube() -> None:
    space = Space(
        [ChoiceParameter("kind", ("only",)), FloatParameter("x", 0.0, 1.0), IntParameter("n", 4, 4)]
    )
    assert (space.dimensions, [entry.name for entry in space.searched]) == (1, ["x"])
    assert space.from_unit(np.array([0.25])) == {"kind": "only", "x": 0.25, "n": 4}
    assert space.to_unit({"kind": "only", "x": 0.25, "n": 4}).tolist() == [0.25]


def test_texts_are_equally_far_apart_on_the_cube() -> None:
    space = Space([ChoiceParameter("word", ("a", "b", "c"))])
    corners = [space.to_unit({"word": word}) for word in "abc"]
    apart = {float(np.linalg.norm(one - other)) for one in corners for other in corners if one is not other}
    assert len(apart) == 1


conditional = Space(
    [
        IntParameter("zone", 1, 3, when=(("loss", "context"),)),
        ChoiceParameter("loss", ("plain", "context")),
        ChoiceParameter("kind", ("a", "b"), when=(("loss", "context"),)),
    ]
)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_point_has_the_parameters_whose_conditions_hold(point: list[float]) -> None:
    parameters = conditional.from_unit(np.array(point))
    assert conditional.contains(parameters)
    assert ("zone" in parameters) == ("kind" in parameters) == (parameters["loss"] == "context")
    tried = conditional.as_tried(np.array([point]))[0]
    assert conditional.from_unit(tried) == parameters
    texts = conditional.to_unit(parameters)[1:]
    assert tried[1:].tolist() == texts.tolist()


def test_parameter_without_a_value_is_in_the_middle_of_the_cube() -> None:
    assert conditional.to_unit({"loss": "plain"}).tolist() == [0.5, 1, 0, 0.5, 0.5]


def test_value_whose_condition_does_not_hold_is_outside() -> None:
    assert not conditional.contains({"loss": "plain", "zone": 1, "kind": "a"})
    assert not conditional.contains({"loss": "context", "zone": 1})
    assert conditional.active({"loss": "plain", "zone": 1, "kind": "a"}) == {"loss": "plain"}


def test_grid_of_a_conditional_space_holds_every_point_once() -> None:
    points = list(conditional.grid())
    assert len(points) == conditional.size() == 7
    assert points.count({"loss": "plain"}) == 1 and all(map(conditional.contains, points))


def test_conditional_space_survives_its_description_in_json() -> None:
    described = json.loads(json.dumps(conditional.describe()))
    assert described["zone"]["when"] == {"loss": "context"}
    assert Space.from_description(described).digest() == conditional.digest()


@pytest.mark.parametrize("when", [("loss", "other"), ("none", "context"), ("zone", 1), ("kind", "a")])
def test_condition_on_anything_but_an_unconditional_choice_is_refused(when: tuple[str, str | int]) -> None:
    with pytest.raises(ConfigError, match="expected under when a choice of the space") as refusal:
        Space([*conditional.parameters, FloatParameter("x", 0.0, 1.0, when=(when,))])
    assert refusal.value.details == {"parameter": "x"}
