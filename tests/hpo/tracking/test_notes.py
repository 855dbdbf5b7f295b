from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow_record import experiment_of, record

from hpo.config.environment import Environment
from hpo.journal.events import Noticed, StudyCreated
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.tracking.figures import FigureFiles
from hpo.tracking.follower import Projection
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.notes import study_tags

RECIPE = {"model": "resnet152", "weights": "ab" * 32, "preprocessing": "224 px", "frame_rate": 2.0}
SHAPE = {"dims": 512, "classes": ["goal"], "frame_rate": 2.0}


def recorded_stage(
    study: Any, environment: Environment, figures: Callable[[StudyState, str], FigureFiles]
) -> tuple[Any, MlflowClient]:
    tracker = MlflowTracker(
        environment, dataset="wyscout/EVENTS", fixed={}, files_of=lambda trial: [], figures_of=figures
    )
    projection = Projection(study.folder, tracker)
    projection.advance()
    assert not projection.refused and projection.events_left() == 0
    client = MlflowClient(environment.tracking_uri)
    experiment = client.get_experiment_by_name(study.name)
    assert experiment is not None
    (stage,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'bayes'")
    return stage, client


def test_importance_of_hyperparameters_stands_with_the_stage_at_its_end(
    study: Any, environment: Environment
) -> None:
    study.whole()
    tracker = MlflowTracker(
        environment,
        dataset="wyscout/EVENTS",
        fixed={},
        files_of=lambda trial: [],
        importance_of=lambda state, stage: {"r_frames": 0.75, "f": 0.25} if stage == "bayes" else {},
    )
    Projection(study.folder, tracker).advance()
    client = MlflowClient(environment.tracking_uri)
    experiment = client.get_experiment_by_name(study.name)
    assert experiment is not None
    (stage,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'bayes'")
    assert (stage.data.metrics["importance/r"], stage.data.metrics["importance/f"]) == (0.75, 0.25)
    note = stage.data.tags["mlflow.note.content"]
    shares = "share of the variance of Average-mAP that single hyperparameters explain, fANOVA"
    assert note.endswith(f"Importance ({shares}): r 0.75, f 0.25.")


def test_figures_of_a_stage_are_recorded_and_those_that_fail_are_told(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    study.whole()
    drawn = FigureFiles(files={"history.png": b"a picture"}, failures=("grid: no colour",))
    run, client = recorded_stage(study, environment, lambda state, stage: drawn)
    picture = client.download_artifacts(run.info.run_id, "figures/history.png", str(tmp_path))
    assert Path(picture).read_bytes() == b"a picture"
    assert "Figures that failed: grid: no colour." in run.data.tags["mlflow.note.content"]


def test_figures_that_cannot_be_made_at_all_hold_up_no_record(study: Any, environment: Environment) -> None:
    def broken(state: StudyState, stage: str) -> FigureFiles:
        raise ImportError("no plotly")

    study.whole()
    run, _ = recorded_stage(study, environment, broken)
    assert run.info.status == "FINISHED"
    assert "Figures that failed: ImportError: no plotly" in run.data.tags["mlflow.note.content"]


def test_experiment_tells_what_its_stages_came_to(study: Any, environment: Environment) -> None:
    study.whole()
    recorded_stage(study, environment, lambda state, stage: FigureFiles(files={}))
    experiment = MlflowClient(environment.tracking_uri).get_experiment_by_name(study.name)
    assert experiment is not None
    note = experiment.tags["mlflow.note.content"]
    assert "**wyscout/EVENTS**" in note and "| `bayes` | 2 of 3" in note


def test_messages_of_a_study_stand_in_its_description(study: Any, environment: Environment) -> None:
    study.whole()
    with Journal.open(study.folder) as journal:
        for _ in range(2):
            journal.append(Noticed(message="the GPU cannot record training steps"))
    record(study, environment)
    description = experiment_of(study, environment).tags["mlflow.note.content"]
    assert description.endswith("Messages:\n\n- the GPU cannot record training steps")


def tags_of(shape: dict[str, Any]) -> dict[str, str]:
    created = StudyCreated(
        study="s",
        plan={"study": {"task": "calf"}, "shape": shape},
        seed=0,
        data_digest="",
        code_digest="",
        versions={},
    )
    return study_tags(StudyState(created=created, versions={}, updated_at=datetime.now(UTC)))


def test_recipe_of_features_of_ones_own_is_a_tag() -> None:
    tags = tags_of({**SHAPE, "recipe": RECIPE})
    assert tags["hpo.recipe"] == (
        f"model resnet152; weights {'ab' * 32}; preprocessing 224 px; frame_rate 2.0"
    )


def test_features_from_elsewhere_have_none() -> None:
    assert "hpo.recipe" not in tags_of(SHAPE)
