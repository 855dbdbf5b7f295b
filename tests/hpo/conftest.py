"""A plan on one small synthetic game a split, and an environment for its studies."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import StageAsked, StageFinished, StageStarted, TrialAsked, TrialFinished
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan, StudyRequest, make_plan
from hpo.study.running.preparing import creation
from model.data.synthetic import write_synthetic

STUDY_FILE = """
task = "calf"
[training]
epochs = 2
validate_every = 1
sampler = "balanced"
batch_size = 4
chunks_per_epoch = 8
precision = "float32"
[stages.bayes]
trials = 2
[stages.bayes.space]
f = { type = "int", low = 2, high = 9 }
"""


@pytest.fixture(scope="session")
def small_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("games")
    write_synthetic(root, games={"train": 1, "valid": 5, "test": 1}, dims=8, minutes=15, seed=3)
    return root


@pytest.fixture(scope="session")
def small_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("place")
    runs = folder / "runs"
    return Environment(
        runs=runs, cache=folder / "cache", data=folder / "none", tracking_uri=f"sqlite:///{runs}/mlflow.db"
    )


@pytest.fixture(scope="session")
def small_plan(small_games: Path, small_environment: Environment) -> StudyPlan:
    """Two validations of two batches."""
    file = small_environment.cache.parent / "study.toml"
    file.write_text(STUDY_FILE)
    request = StudyRequest(study_file=str(file), data=str(small_games), seed=4)
    return make_plan(request, small_environment, lambda *_: None)


@pytest.fixture
def environment(small_environment: Environment, tmp_path: Path) -> Environment:
    """The environment of the plan, with a folder of studies and a store of the test's own."""
    return replace(small_environment, runs=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def searched(small_plan: StudyPlan) -> StudyState:
    """A study whose search of two trials has ended."""
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    space = small_plan.task.varied(small_plan.study, "bayes", small_plan.shape)
    asked = [TrialAsked(trial=f"bayes-{n}", stage="bayes", parameters={"f": n}, seed=4) for n in (2, 3)]
    return StudyState.replay(
        [
            creation(small_plan, Path("old")),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=space, trials=2, epochs=2),
            *asked,
            *(TrialFinished(trial=trial.trial, score=0.5, epoch=2, duration_s=1.0) for trial in asked),
            StageFinished(stage="bayes", best_trial="bayes-2", chosen={"f": 2}),
        ]
    )
