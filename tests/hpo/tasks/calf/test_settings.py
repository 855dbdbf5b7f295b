from dataclasses import replace

import pytest

from hpo.config.study_file import first_points
from hpo.tasks.base.registry import parse_study
from hpo.tasks.calf.description import DESCRIPTION
from hpo.tasks.calf.settings import check_space, training_config, trial_config
from hpo.tasks.calf.shape import GamesShape
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
        study_file(hyperparameters={"f": 8, "beta": 2.0}), {"f": 32, "r_s": 20.0}, SOCCER, seed=0
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


def test_tolerances_are_those_of_the_paper_or_of_the_later_challenges() -> None:
    for name, last in (("loose", 60.0), ("tight", 5.0)):
        study = study_file(scoring={"tolerances": name})
        assert training_config(study, SOCCER, precision="float32").tolerances_s[-1] == last
    tight = [{"tolerances": "tight", "mean": mean} for mean in ("all", "present")]
    labels = [DESCRIPTION.score_in({"scoring": scoring}).label for scoring in tight]
    assert labels == ["tight Average-mAP", "tight Average-mAP over classes present"]
    for widths, label in (([0.08, 0.16], "0.08-0.16 s Average-mAP"), ([0.5], "0.5 s mAP")):
        study = study_file(scoring={"tolerances": widths})
        assert training_config(study, SOCCER, precision="float32").tolerances_s == tuple(widths)
        assert DESCRIPTION.score_in({"scoring": {"tolerances": widths}}).label == label
    assert DESCRIPTION.score_in({}).label == "Average-mAP", "studies of older versions"


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
    said = r"r of 2 to 238 frames, shorter than the chunk \(120 s, 240 frames .* r_frames = 240"
    with pytest.raises(ConfigError, match=said):
        check_space(study_file(stages=stages), SOCCER)
    check_space(study_file(stages=stages), HANDBALL)


@pytest.mark.parametrize(
    ("space", "per_second", "complaint"),
    [
        ({"low": 10.0, "high": 119.6}, 2.0, r"space contains r_s = 119.6 \(239 frames at 2 per second\)"),
        ({"low": 1.0, "high": 80.0}, 1.0, r"r of 2 to 118 frames, .* r_s = 1 \(1 frame at 1 per second\)"),
    ],
)
def test_space_in_seconds_is_checked_in_frames_at_the_rate_of_the_data(
    space: dict[str, float], per_second: float, complaint: str
) -> None:
    stages = {"bayes": {"trials": 1, "space": {"r_s": {"type": "float", **space}}}}
    with pytest.raises(ConfigError, match=complaint):
        check_space(study_file(stages=stages), replace(SOCCER, frame_rate=FrameRate(per_second)))
    check_space(study_file(stages=stages), HANDBALL)


@pytest.mark.parametrize(("per_second", "r_frames"), [(1.0, 40), (2.0, 80), (5.0, 200), (25.0, 1000)])
def test_r_has_the_same_seconds_at_every_frame_rate(per_second: float, r_frames: int) -> None:
    shape = replace(SOCCER, frame_rate=FrameRate(per_second))
    assert trial_config(study_file(), {}, shape, seed=0).network.receptive_field_frames == r_frames
    frames = study_file(hyperparameters={"r_frames": 80})
    at_any_rate = trial_config(frames, {}, replace(shape, frame_rate=FrameRate(3.0)), seed=0)
    assert at_any_rate.network.receptive_field_frames == 80


def test_r_is_given_in_one_unit_in_the_whole_study_file() -> None:
    seconds = {"type": "float", "low": 10.0, "high": 80.0}
    frames = {"type": "int", "low": 20, "high": 160}
    for own, searched in (
        ({"r_s": 30.0, "r_frames": 60}, {"f": SPACE}),
        ({"r_s": 30.0}, {"r_frames": frames}),
        ({"r_frames": 60}, {"r_s": seconds}),
        ({}, {"r_s": seconds, "r_frames": frames}),
    ):
        with pytest.raises(ConfigError) as caught:
            study_file(hyperparameters=own, stages={"bayes": {"trials": 1, "space": searched}})
        (message,) = caught.value.details.values()
        assert "r_s" in message
        assert "r_frames" in message


def test_study_file_that_searches_r_in_frames_starts_from_its_older_default() -> None:
    frames = {"type": "int", "low": 20, "high": 160}
    older = study_file(stages={"bayes": {"trials": 1, "space": {"f": SPACE, "r_frames": frames}}})
    assert first_points(older, older.stages.bayes) == [{"f": 16, "r_frames": 80}]
    assert "r_s" not in older.hyperparameters.model_dump()
    assert parse_study(older.model_dump(mode="json"), file="journal") == older
