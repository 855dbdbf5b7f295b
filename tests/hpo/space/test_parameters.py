import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter
from model.errors import ConfigError

unit = st.floats(0, 1)
anywhere = st.floats(-1e9, 1e9)


@st.composite
def floats(draw: st.DrawFn) -> FloatParameter:
    log = draw(st.booleans())
    low = draw(st.floats(1e-6, 1e3) if log else st.floats(-1e3, 1e3))
    return FloatParameter("x", low, low + draw(st.floats(1e-3, 1e3)), log)


@st.composite
def ints(draw: st.DrawFn) -> IntParameter:
    log = draw(st.booleans())
    low = draw(st.integers(1, 1000) if log else st.integers(-1000, 1000))
    return IntParameter("n", low, low + draw(st.integers(1, 1000)), log)


choices = st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=2, max_size=8, unique=True).map(
    lambda values: ChoiceParameter("c", tuple(values))
)


@given(floats() | ints() | choices, anywhere)
def test_every_number_leads_to_a_value_within_bounds(parameter: Parameter, u: float) -> None:
    assert parameter.contains(parameter.from_unit(u))


@given(floats(), unit)
def test_float_comes_back_from_the_unit_interval(parameter: FloatParameter, u: float) -> None:
    value = parameter.from_unit(u)
    assert math.isclose(parameter.from_unit(parameter.to_unit(value)), value, rel_tol=1e-9, abs_tol=1e-9)


@given(ints() | choices)
def test_every_countable_value_comes_back_from_the_unit_interval(
    parameter: IntParameter | ChoiceParameter,
) -> None:
    assert all(parameter.from_unit(parameter.to_unit(value)) == value for value in parameter.values())


@given(floats() | ints(), unit, unit)
def test_order_is_kept(parameter: FloatParameter | IntParameter, u: float, v: float) -> None:
    low, high = sorted((u, v))
    assert parameter.from_unit(low) <= parameter.from_unit(high)


@given(floats() | ints() | choices)
def test_ends_of_the_unit_interval_are_exactly_the_bounds(parameter: Parameter) -> None:
    if isinstance(parameter, ChoiceParameter):
        ends = parameter.choices[0], parameter.choices[-1]
    else:
        ends = parameter.low, parameter.high
    assert (parameter.from_unit(0.0), parameter.from_unit(1.0)) == ends


@pytest.mark.parametrize("parameter", [IntParameter("n", 3, 7), ChoiceParameter("c", (1, 2, 3, 4, 5))])
def test_whole_numbers_and_choices_own_cells_of_equal_width(parameter: Parameter) -> None:
    counts = Counter(parameter.from_unit((step + 0.5) / 1000) for step in range(1000))
    assert set(counts.values()) == {200}


def test_logarithmic_float_puts_the_geometric_mean_in_the_middle() -> None:
    assert FloatParameter("x", 0.05, 5.0, log=True).from_unit(0.5) == pytest.approx(0.5)


def test_logarithmic_int_spends_as_much_room_on_low_octaves_as_on_high_ones() -> None:
    values = [IntParameter("n", 4, 64, log=True).from_unit(step / 1000) for step in range(1000)]
    assert sum(value < 8 for value in values) == pytest.approx(sum(value >= 32 for value in values), rel=0.25)


def test_a_number_written_without_a_point_counts_as_a_float() -> None:
    assert FloatParameter("x", 0.0, 10.0).contains(5)


@pytest.mark.parametrize("value", [0, 11, 5.0, True, "5", math.nan])
def test_int_does_not_contain(value: float | str) -> None:
    assert not IntParameter("n", 1, 10).contains(value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, True, "0.5"])
def test_float_does_not_contain(value: float | str) -> None:
    assert not FloatParameter("x", 0.0, 1.0).contains(value)


@pytest.mark.parametrize(("low", "high"), [(2, 1), (0, math.inf), (math.nan, 1), (-1e308, 1e308)])
def test_bounds_in_the_wrong_order_or_around_everything_are_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="finite bounds with low not above high"):
        FloatParameter("x", low, high)


def test_whole_numbers_that_a_journal_cannot_have_are_refused() -> None:
    for make in (lambda: IntParameter("n", 1, 1 << 63), lambda: ChoiceParameter("n", (1, 10**400))):
        with pytest.raises(ConfigError, match="expected whole numbers of at most 64 bits, got"):
            make()
    IntParameter("n", -(1 << 63), (1 << 63) - 1)


def test_logarithmic_scale_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="low above 0 for a logarithmic scale, got 0"):
        FloatParameter("x", 0.0, 1.0, log=True)
    with pytest.raises(ConfigError, match="low above 0 for a logarithmic scale, got 0"):
        IntParameter("n", 0, 10, log=True)


@pytest.mark.parametrize("values", [(), (1, 2, 1)])
def test_choices_must_differ(values: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="one or more different choices"):
        ChoiceParameter("c", values)


def test_an_error_names_the_parameter() -> None:
    with pytest.raises(ConfigError) as caught:
        IntParameter("r_frames", 9, 3)
    assert caught.value.details == {"parameter": "r_frames"}


@pytest.mark.parametrize(
    ("parameter", "only"),
    [
        (FloatParameter("x", 0.5, 0.5), 0.5),
        (IntParameter("n", 3, 3, log=True), 3),
        (ChoiceParameter("c", ("none",)), "none"),
    ],
)
def test_fixed_parameter_has_no_axis_and_one_value(parameter: Parameter, only: float | str) -> None:
    assert parameter.is_fixed and parameter.axes == 0 and parameter.on_axes(only) == []
    assert {parameter.from_axes([]), parameter.from_unit(0.0), parameter.from_unit(1.0)} == {only}
    assert 0 <= parameter.to_unit(only) <= 1


def test_texts_are_indicated_without_an_order_and_numbers_keep_theirs() -> None:
    texts, numbers = ChoiceParameter("c", ("a", "b", "c")), ChoiceParameter("n", (8, 16, 32))
    assert [texts.on_axes(text) for text in "abc"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert [numbers.axes, numbers.on_axes(16)] == [1, [0.5]]
    assert texts.from_axes([0.2, 0.9, 0.3]) == "b"
