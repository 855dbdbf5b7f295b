from typing import Any

from mlflow import MlflowClient

from hpo.config.environment import Environment
from hpo.tracking.follower import Projection
from hpo.tracking.mlflow_tracker import MlflowTracker


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
    assert note.endswith("Importance (share of the variance of Average-mAP, fANOVA): r 0.75, f 0.25.")
