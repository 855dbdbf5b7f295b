import pytest

from hpo.tasks.base.registry import parse_study
from hpo.tasks.calf.settings import GamesShape, check_space, training_config, trial_config
from model.errors import ConfigError
from model.timeline import FrameRate

SOCCER = GamesShape(dims=512, classes=("goal", "card", "substitution"), frame_rate=FrameRate(2.0))
HANDBALL = GamesShape(dims=7, classes=("goal", "timeout"), frame_rate=FrameRate(5.0))
SPACE = {"type": "int", "low": 4, "high": 64}


def study_file(**tables: object):  # type: ignore[no-untyped-def]
    stages = {"bayes": {"trials": 1, "space": {"f": SPACE}}}
    return parse_study({"task": "calf", "stages": stages, **tables}, file="test")


def test_defaults_are_the_optimum_of_the_paper_in_frames() -> None:
    trial = trial_config(study_file(), {}, SOCCER, seed=3)
    assert (trial.network.class_features, trial.network.receptive_field_frames) == (16, 80)
    assert (trial.network.chunk_frames, trial.network.predictions) == (240, 5)
    assert (trial.loss.alpha2, trial.loss.beta, trial.loss.lambda_seg) == (5.0, 0.5, 1.5)
    assert trial.loss.zones.per_class == ((-40, -20, 120, 180), (-40, -20, 20, 40), (-80, -40, 20, 40))
    assert (trial.learning_rate, trial.final_learning_rate, trial.seed) == (1e-3, 1e-6, 3)


def test_parameters_of_a_trial_override_the_study_file() -> None:
    trial = trial_config(
        study_file(hyperparameters={"f": 8, "beta": 2.0}), {"f": 32, "r_frames": 40}, SOCCER, seed=0
    )
    assert (trial.network.class_features, trial.network.receptive_field_frames, trial.loss.beta) == (
        32,
        40,
        2,
    )


def test_zones_of_a_trial_override_those_of_the_study_file_in_frames() -> None:
    own = {f"K{number}_frames.card": value for number, value in enumerate((-9.0, -3.0, 4.0, 7.0), start=1)}
    trial = trial_config(study_file(), own, SOCCER, seed=0)
    assert trial.loss.zones.per_class == ((-40, -20, 120, 180), (-9, -3, 4, 7), (-80, -40, 20, 40))


def test_another_sport_at_five_frames_a_second_gets_its_seconds_in_frames() -> None:
    trial = trial_config(study_file(), {}, HANDBALL, seed=0)
    assert trial.network.chunk_frames == 600
    assert trial.loss.zones.per_class[1] == (-100, -50, 50, 100)
    training = training_config(study_file(), HANDBALL, precision="float32")
    assert training.sampler.margin_frames == 100


def test_trial_is_validated_twenty_times_unless_the_study_file_says_how_often() -> None:
    few = training_config(study_file(training={"epochs": 100}), SOCCER, precision="float32")
    assert few.validate_every == 5
    own = study_file(training={"epochs": 100, "validate_every": 7})
    assert training_config(own, SOCCER, precision="float32").validate_every == 7


def test_suppression_window_is_each_tolerance_or_a_number_of_seconds() -> None:
    assert training_config(study_file(), SOCCER, precision="float32").nms_window_s is None
    fixed = study_file(scoring={"nms_window_s": 20.0})
    assert training_config(fixed, SOCCER, precision="float32").nms_window_s == 20.0


def test_what_a_published_code_does_differently_reaches_the_model() -> None:
    original = trial_config(study_file(preset="published-2020"), {}, SOCCER, seed=0)
    assert (original.network.norm_momentum, original.loss.form) == (0.01, "published-2020")
    assert original.adam_eps == 1e-7
    again = trial_config(study_file(preset="published-2021"), {}, SOCCER, seed=0)
    assert (again.network.norm_momentum, again.network.norm_unbiased, again.loss.form) == (
        0.01,
        True,
        "paper",
    )
    assert trial_config(study_file(), {}, SOCCER, seed=0).network.norm_momentum is None


def test_space_whose_receptive_field_outgrows_the_chunk_is_refused() -> None:
    long = {"type": "int", "low": 20, "high": 240}
    stages = {"bayes": {"trials": 1, "space": {"r_frames": long}}}
    with pytest.raises(ConfigError, match="below the 240 frames of a chunk"):
        check_space(study_file(stages=stages), SOCCER)
    check_space(study_file(stages=stages), HANDBALL)
