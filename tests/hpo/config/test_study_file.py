import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan
from hypothesis import given
from hypothesis import strategies as st

from hpo.config.study_file import StudyFile, first_points, space_of
from hpo.tasks.base.registry import load_study, parse_study
from model.data.layout.description import builtin_description
from model.data.synthetic import planted_zones_s
from model.documents import MAX_TOML_BYTES
from model.errors import ConfigError

SMALLEST = """
task = "calf"
[stages.bayes]
trials = 3
[stages.bayes.space]
beta = { type = "float", low = 0.1, high = 1.0 }
"""


STAGES = {"bayes": {"trials": 3, "space": {"beta": {"type": "float", "low": 0.1, "high": 1.0}}}}


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_study(tomllib.loads(text), file="mine.toml")
    return caught.value


def study(**tables: Any) -> StudyFile:
    return parse_study(tomllib.loads(SMALLEST) | tables, file="mine.toml")


def test_the_paper_is_the_default() -> None:
    spelled_out, left_out = load_study("calf"), study()
    assert left_out.model_dump(exclude={"stages"}) == spelled_out.model_dump(exclude={"stages"})


def test_calf_searches_the_five_hyperparameters_of_the_paper_from_its_own_optimum() -> None:
    calf = load_study("calf")
    stage = calf.stages.bayes
    space = space_of(stage)
    assert space.names == ("f", "r_s", "alpha2", "beta", "lambda_seg")
    assert all(declared["log"] for declared in space.describe().values())
    assert [declared["type"] for declared in space.describe().values()] == ["int"] + 4 * ["float"]
    assert first_points(calf, stage) == [
        {"f": 16, "r_s": 40.0, "alpha2": 5.0, "beta": 0.5, "lambda_seg": 1.5}
    ]


def test_demo_is_small_and_has_the_zones_of_the_synthetic_games() -> None:
    demo = load_study("demo")
    assert demo.training.epochs <= 20
    assert demo.stages.bayes.trials <= 10
    assert {name: demo.zones_of(name) for name in planted_zones_s()} == planted_zones_s()


def test_gain_is_estimated_by_a_searcher_with_a_model_of_the_scores() -> None:
    error = refusal(SMALLEST.replace("trials = 3", 'trials = 3\nstop_when = "unlikely"\nsearcher = "random"'))
    assert 'expected searcher bayes-opt or botorch, got "random"' in error.details["stages.bayes"]


def test_unknown_task_names_the_known_ones() -> None:
    assert (
        refusal(SMALLEST.replace("calf", "cafl"))
        .details["task"]
        .startswith("expected one of bmn, calf, or a module on PYTHONPATH with a TASK, got 'cafl'")
    )
    missing = refusal(SMALLEST.replace('task = "calf"', ""))
    assert missing.details["task"] == "missing (needs one of bmn, calf)"


def test_unknown_scheduler_names_the_known_ones() -> None:
    error = refusal(SMALLEST.replace("trials = 3", 'trials = 3\nscheduler = "hyperband"'))
    assert error.details["stages.bayes.scheduler"].startswith("expected 'none', 'asha' or 'median'")


def test_calf_v2_has_zones_for_the_seventeen_classes_and_fifteen_predictions() -> None:
    study_file = load_study("calf-v2")
    assert set(study_file.zones_s) - {"default"} == set(builtin_description("soccernet-v2").classes)
    assert study_file.zones_of("goal") == (-20, -10, 60, 90)
    assert study_file.network.predictions == 15


@pytest.mark.parametrize("name", ["calf", "calf-v2", "demo"])
def test_written_as_json_and_read_again_a_study_is_the_same(name: str) -> None:
    original = load_study(name)
    text = json.dumps(original.model_dump(mode="json"), sort_keys=True)
    again = parse_study(json.loads(text), file="journal")
    assert again == original
    assert space_of(again.stages.bayes).digest() == space_of(original.stages.bayes).digest()


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALLEST)
    assert load_study(path) == load_study(str(path)) == study()


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_study("clf")
    assert caught.value.details["known"] == "bmn, bmn-demo, calf, calf-v2, demo"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"task = ", "not valid TOML"),
        (b"\xff\xfe[", "not valid TOML"),
        (b"#" * (MAX_TOML_BYTES + 1), "larger than 0.25 MiB"),
        (b"a = " + b"[" * 5000, "nested deeper than 50 levels"),
        (b"a = " + b"9" * 5000, "digits"),
        (b"a = 9223372036854775808", "64 bits"),
        (None, "cannot read the study file"),
    ],
)
def test_a_file_that_is_no_study_file_is_refused_by_name(
    content: bytes | None, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_study(path)
    assert caught.value.details["file"] == str(path)


def test_all_mistakes_come_in_one_error_each_with_key_expectation_and_value() -> None:
    error = refusal("""
        task = "calf"
        message = 1
        [training]
        epochs = 2.5
        sampler = "papper"
        learning_rate = nan
        [scoring]
        nms_window_s = -3
        tolerances = [1, 2, 4]
        [hyperparameters]
        f = "16"
        [zones_s]
        default = [-10, -20, 10, 20]
        [stages.bayes]
        searcher = "annealing"
        [stages.bayes.space]
        f = { type = "int", low = 4.5, high = 64 }
        g = { type = "int", low = 4, high = 64 }
        r_frames = { type = "int", low = 160, high = 20 }
        alpha2 = { low = 0.5, high = 50.0 }
        beta = { type = "float", low = 0, high = 50.0, log = true }
        lambda_seg = { type = "choice", choices = [1, true] }
    """)
    assert error.message == "invalid study file mine.toml: 16 settings to correct"
    assert error.details == {
        "message": "unknown key; known keys: task, hours, training, hyperparameters, stages, notify, "
        "preset, data, network, losses, scoring, zones_s",
        "training.epochs": "expected a whole number, got 2.5",
        "training.sampler": "expected 'paper' or 'balanced', got \"papper\"",
        "training.learning_rate": "expected a finite number, got NaN",
        "scoring.tolerances": 'expected "loose", "tight" or rising seconds with equal steps, such as '
        "[0.5, 1.0, 1.5], got [1, 2, 4]",
        "scoring.nms_window_s": 'expected "tolerance" or a number of seconds above 0, at most 86400 (one day)'
        ", got -3",
        "hyperparameters.f": 'expected a whole number, got "16"',
        "zones_s.default": "expected four numbers of seconds, at most 86400 (one day), "
        "with K1 < K2 < 0 < K3 < K4, got [-10, -20, 10, 20]",
        "stages.bayes.searcher": "expected 'bayes-opt', 'botorch', 'optuna-gp', 'optuna-tpe' or 'random', "
        'got "annealing"',
        "stages.bayes.trials": "missing (needs a value)",
        "stages.bayes.space.f.low": "expected a whole number, got 4.5",
        "stages.bayes.space.g": "expected one of f, r_s, r_frames, alpha2, beta, lambda_seg, tau_max, "
        "tau_min, matching, "
        'got "g"',
        "stages.bayes.space.r_frames": "expected finite bounds with low not above high, got 160 and 20",
        "stages.bayes.space.alpha2": "expected a value, or a table with a type: 'float', 'int' or 'choice', "
        'got {"low": 0.5, "high": 50.0}',
        "stages.bayes.space.beta": "expected low above 0 for a logarithmic scale, got 0.0",
        "stages.bayes.space.lambda_seg.choices.1": "expected a number or text, got true",
    }


def test_a_misspelt_key_hints_at_the_nearest() -> None:
    error = refusal(SMALLEST + "[training]\nepoch = 3")
    assert error.details["training.epoch"].startswith(
        "unknown key; did you mean epochs? known keys: epochs, "
    )


def test_a_space_may_only_reach_values_that_a_hyperparameter_may_have() -> None:
    error = refusal("""
        task = "calf"
        [stages.bayes]
        trials = 3
        [stages.bayes.space]
        f = { type = "float", low = 1.5, high = 64.0 }
        tau_min = { type = "float", low = 0.0, high = 2.0 }
        beta = { type = "choice", choices = [1, -1] }
    """)
    assert error.details == {
        "stages.bayes.space.f": "expected a whole number, got 1.5; expected a whole number, got 64.0",
        "stages.bayes.space.tau_min": "expected a number of 1 or less, got 2.0",
        "stages.bayes.space.beta": "expected a number of 0 or more, got -1",
    }


def test_margins_may_not_cross_anywhere_in_a_space() -> None:
    space = {"tau_min": {"type": "float", "low": 0.0, "high": 0.95}}
    with pytest.raises(ConfigError) as caught:
        study(stages={"bayes": {"trials": 3, "space": space}})
    assert caught.value.details == {
        "stages.bayes.space": "tau_min must be below tau_max, but tau_min can be 0.95 while tau_max is 0.9"
    }


@pytest.mark.parametrize(
    ("tables", "key", "complaint"),
    [
        ({"hyperparameters": {"tau_min": 0.95}}, "hyperparameters", "tau_min must be below tau_max"),
        (
            {"training": {"learning_rate": 1e-4, "final_learning_rate": 1e-3}},
            "training",
            "final_learning_rate must not exceed learning_rate, got 0.001 and 0.0001",
        ),
        ({"training": 3}, "training", "expected a table, got 3"),
        ({"stages": {"fin": {}}}, "stages.fin", "known keys: bayes, grid-slicing, final"),
        ({"stages": STAGES | {"final": {"seeds": 1}}}, "stages.final.seeds", "a whole number above 1"),
        (
            {"stages": STAGES | {"grid-slicing": {"grid": {"goal": {"K2_s": [5]}}}}},
            "stages.grid-slicing.grid.goal",
            "K2_s lies before the action",
        ),
        (
            {"stages": STAGES | {"grid-slicing": {"grid": {"goal": {"K3_s": [9], "K4_s": [9]}}}}},
            "stages.grid-slicing.grid.goal",
            "no point of the grid satisfies K1 < K2 < 0 < K3 < K4",
        ),
        ({"stages": STAGES | {"grid-slicing": {"mode": "all"}}}, "stages.grid-slicing.mode", "'joint'"),
        ({"stages": {"bayes": {"trials": 1, "space": {}}}}, "stages.bayes.space", "1 or more entries"),
        ({"zones_s": {"goal": [-20, -10, 60, 90]}}, "zones_s", 'expected an entry "default" for classes'),
        ({"network": {"chunk_s": 0}}, "network.chunk_s", "expected a number above 0, got 0"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(
    tables: dict[str, Any], key: str, complaint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        study(**tables)
    assert complaint in caught.value.details[key]


def test_classes_without_zones_of_their_own_get_the_default() -> None:
    assert study().zones_of("goal") == (-20, -10, 60, 90)
    assert study().zones_of("corner") == (-20, -10, 10, 20)


def test_hyperparameters_outside_of_the_space_are_no_first_point() -> None:
    narrow = study(hyperparameters={"beta": 3.0})
    assert first_points(narrow, narrow.stages.bayes) == []


numbers = st.floats(-100, 100).map(lambda value: round(value, 2))


@given(st.lists(numbers, min_size=4, max_size=4))
def test_zones_are_accepted_exactly_when_they_are_ordered_around_the_action(zones: list[float]) -> None:
    k1, k2, k3, k4 = zones
    if k1 < k2 < 0 < k3 < k4:
        assert study(zones_s={"default": zones}).zones_s["default"] == tuple(zones)
    else:
        with pytest.raises(ConfigError, match="K1 < K2 < 0 < K3 < K4"):
            study(zones_s={"default": zones})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["f", "type", "low", "space", "file", "x"]), inner, max_size=4)
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        ["task", "training", "zones_s", "stages", "hyperparameters", "scoring", "message", "self"]
    ),
)
def test_whatever_is_written_ends_in_a_study_or_in_one_clear_error(value: Any, key: str) -> None:
    try:
        study(**{key: value})
    except ConfigError as error:
        assert "mine.toml" in str(error)


@pytest.mark.parametrize(
    ("preset", "eps", "unbiased", "adam_eps", "form", "window"),
    [
        ("published-2020", 1e-3, False, 1e-7, "published-2020", "tolerance"),
        ("published-2021", 1e-3, True, 1e-8, "paper", 20.0),
    ],
)
def test_preset_gives_the_settings_of_a_published_code(
    preset: str, eps: float, unbiased: bool, adam_eps: float, form: str, window: object
) -> None:
    published = study(preset=preset)
    assert (published.network.norm_eps, published.network.norm_unbiased) == (eps, unbiased)
    assert published.network.norm_momentum == 0.01
    assert (published.training.adam_eps, published.losses.segmentation_form) == (adam_eps, form)
    assert published.scoring.nms_window_s == window
    assert parse_study(published.model_dump(mode="json"), file="journal") == published


def test_what_a_file_names_itself_goes_before_its_preset() -> None:
    own = study(preset="published-2021", network={"norm_eps": 0.5}, scoring={"nms_window_s": "tolerance"})
    assert (own.network.norm_eps, own.network.norm_unbiased) == (0.5, True)
    assert own.scoring.nms_window_s == "tolerance"


@pytest.mark.parametrize("preset", ["published-2022", ["paper"], 3])
def test_preset_that_does_not_exist_is_refused_with_the_known_ones(preset: object) -> None:
    with pytest.raises(ConfigError) as caught:
        study(preset=preset)
    assert "published-2020" in caught.value.details["preset"]


def test_preset_over_something_that_is_no_table_is_refused_like_any_other_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        study(preset="published-2020", network=3)
    assert "a table" in caught.value.details["network"]


@pytest.mark.parametrize("value", [0, 1.5, "running", True])
def test_norm_momentum_is_a_share_or_the_word_for_none(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        study(network={"norm_momentum": value})
    assert "re-estimated" in caught.value.details["network.norm_momentum"]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("network = { chunk_s = 1e308 }", "network.chunk_s"),
        ("training = { action_margin_s = 1e308 }", "training.action_margin_s"),
        ("zones_s = { default = [-1e308, -1, 1, 1e308] }", "zones_s.default"),
        ("stages.grid-slicing.symmetric_s = [1e308]", "stages.grid-slicing.symmetric_s.0"),
        ("stages.sensitivity.factors = [1e308]", "stages.sensitivity.factors.0"),
    ],
)
def test_times_too_long_for_frames_are_refused(table: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study(tomllib.loads(table + SMALLEST), file="mine.toml")
    assert any(name.startswith(key) for name in caught.value.details)


def test_values_of_a_symmetric_grid_lie_after_the_action() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study(tomllib.loads("stages.grid-slicing.symmetric_s = [5, 0]" + SMALLEST), file="mine.toml")
    told = caught.value.details["stages.grid-slicing.symmetric_s"]
    assert "K3 lies after the action: expected numbers above 0, got 0" in told


def test_keys_of_any_length_and_number_make_an_error_that_can_be_read() -> None:
    document = tomllib.loads(SMALLEST) | {"x" * 5000: 1, "two\nlines": 2} | {f"k{n}": n for n in range(5000)}
    with pytest.raises(ConfigError) as caught:
        parse_study(document, file="mine.toml")
    lines = str(caught.value).splitlines()
    assert "5,002 settings" in lines[0]
    assert len(lines) == 21
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize("value", [0, 1.5, "many", True])
def test_an_array_is_a_number_of_trials_or_the_word_that_leaves_it_to_a_measurement(value: object) -> None:
    assert study(stages=STAGES | {"final": {"array": 3}}).stages.final.array == 3
    with pytest.raises(ConfigError) as caught:
        study(stages=STAGES | {"final": {"array": value}})
    assert "a whole number above 0" in caught.value.details["stages.final.array"]


def test_study_maximises_the_mean_that_its_file_names() -> None:
    plans = [calf_plan({"stages": STAGES, **tables}) for tables in ({}, {"scoring": {"mean": "present"}})]
    assert [plan.score.metric for plan in plans] == ["average_map", "average_map_present"]
    assert [plan.score.label for plan in plans] == ["Average-mAP", "Average-mAP over classes present"]
    error = refusal(SMALLEST + '[scoring]\nmean = "some"')
    assert error.details["scoring.mean"].startswith("expected 'all' or 'present'")
