"""The study-file reader: settings that all hold what the file says, or an error that names the keys."""

import tempfile
from pathlib import Path
from typing import Any

from fuzz.broken import files, to_toml
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from hpo.config.study_file import first_points, space_of
from hpo.tasks.base.registry import load_study, parse_study
from hpo.tasks.calf.settings import check_space, training_config, trial_config
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.study_file import CalfStudy
from model.documents import parse_toml
from model.errors import ConfigError, UserError
from model.timeline import FrameRate

SHAPE = GamesShape(dims=8, classes=("goal", "card"), frame_rate=FrameRate(2.0))

ranges = st.sampled_from(
    (
        {"type": "float", "low": 0.1, "high": 10.0, "log": True},
        {"type": "float", "low": 0.0, "high": 1.0},
        {"type": "int", "low": 1, "high": 8, "log": True},
        {"type": "int", "low": 10, "high": 100},
        {"type": "choice", "choices": [1, 2, 4]},
    )
)
names = st.sampled_from(("f", "r_s", "r_frames", "alpha2", "beta", "lambda_seg", "tau_max", "tau_min"))
searches = st.fixed_dictionaries(
    {"trials": st.integers(1, 50), "space": st.dictionaries(names, ranges, min_size=1, max_size=3)},
    optional={
        "searcher": st.sampled_from(("bayes-opt", "optuna-tpe", "random")),
        "scheduler": st.sampled_from(("none", "asha", "median")),
        "replicates": st.integers(1, 2),
        "grace_epochs": st.integers(1, 20),
        "reduction_factor": st.floats(1.5, 8),
        "epochs": st.integers(1, 100),
        "concurrent": st.integers(1, 4),
    },
)
study_files = st.fixed_dictionaries(
    {
        "task": st.just("calf"),
        "stages": st.fixed_dictionaries(
            {"bayes": searches},
            optional={
                "grid-slicing": st.fixed_dictionaries(
                    {},
                    optional={
                        "mode": st.sampled_from(("per-class", "joint")),
                        "seeds": st.integers(1, 3),
                        "symmetric_s": st.just([2.5, 5]),
                        "grid": st.just({"default": {"K1_s": [-40, -20], "K2_s": [-10]}}),
                    },
                ),
                "final": st.fixed_dictionaries({"candidates": st.integers(1, 3)}),
                "sensitivity": st.just({"factors": [0.5, 2.0]}),
            },
        ),
    },
    optional={
        "preset": st.sampled_from(("paper", "published-2020", "published-2021")),
        "network": st.fixed_dictionaries(
            {},
            optional={
                "chunk_s": st.floats(1, 240),
                "predictions": st.integers(1, 9),
                "norm_momentum": st.floats(0.01, 1),
            },
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "epochs": st.integers(1, 1000),
                "learning_rate": st.floats(1e-5, 1e-2),
                "sampler": st.sampled_from(("paper", "balanced")),
                "validate_every": st.integers(1, 9),
            },
        ),
        "scoring": st.fixed_dictionaries({"nms_window_s": st.just("tolerance") | st.floats(1, 60)}),
        "hyperparameters": st.fixed_dictionaries(
            {}, optional={"f": st.integers(1, 32), "r_s": st.floats(1, 60), "alpha2": st.floats(0, 9)}
        ),
        "zones_s": st.just({"default": [-20, -10, 10, 20], "goal": [-40.0, -20.0, 30.0, 60.0]}),
    },
)


@FUZZ
@given(files(study_files, to_toml))
def test_study_file_gives_all_that_it_says_or_an_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mine.toml")
        file.write_bytes(content)
        came = outcome(lambda: load_study(file))
    if isinstance(came, UserError):
        assert isinstance(came, ConfigError)
        assert str(file) in str(came)
        return
    written = came.model_dump(mode="json")
    assert_holds(written, parse_toml(content))
    assert parse_study(written, file="again") == came
    outcome(lambda: settings_of(came))


def settings_of(study: CalfStudy) -> None:
    """What a study makes of its file before the first trial; some values do not fit each other."""
    stage = study.stages.bayes
    space = space_of(stage)
    for parameter in space.parameters:
        for u in (0.0, 0.3, 1.0):
            value = parameter.from_unit(u)
            assert parameter.contains(value)
            assert 0 <= parameter.to_unit(value) <= 1
    check_space(study, SHAPE)
    for point in [*first_points(study, stage), {}]:
        trial_config(study, point, SHAPE, seed=0)
    training_config(study, SHAPE, precision="float32")
    stage.grace(stage.epochs or study.training.epochs)


def assert_holds(written: Any, asked: Any) -> None:
    """Whatever the file names has the value it names."""
    if isinstance(asked, dict):
        for key, value in asked.items():
            assert_holds(written[key], value)
    elif isinstance(asked, list):
        assert len(written) == len(asked)
        for ours, theirs in zip(written, asked, strict=True):
            assert_holds(ours, theirs)
    else:
        assert written == asked
