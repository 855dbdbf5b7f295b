"""A study recorded in MLflow, and what is found there."""

from typing import Any

from mlflow import MlflowClient

from hpo.config.environment import Environment
from hpo.journal.journal import read_journal
from hpo.tracking.follower import Projection
from hpo.tracking.mlflow_tracker import MlflowTracker


def tracker_of(study: Any, environment: Environment, **what_is_drawn: Any) -> MlflowTracker:
    return MlflowTracker(
        environment,
        dataset="wyscout/EVENTS",
        fixed={"tau_max": 0.9, "f": 1, "K4_frames.goal": 90.0},
        files_of=lambda trial: study.files,
        **what_is_drawn,
    )


def record(study: Any, environment: Environment, **what_is_drawn: Any) -> None:
    projection = Projection(study.folder, tracker_of(study, environment, **what_is_drawn))
    projection.advance()
    assert not projection.refused
    assert projection.events_left() == 0


def client_of(environment: Environment) -> MlflowClient:
    return MlflowClient(tracking_uri=environment.tracking_uri)


def experiment_of(study: Any, environment: Environment) -> Any:
    identity = read_journal(study.folder).events[0].identity  # type: ignore[attr-defined]
    [found] = client_of(environment).search_experiments(
        view_type=3, filter_string=f"tags.`hpo.identity` = '{identity}'"
    )
    return found


def runs_of(study: Any, environment: Environment) -> dict[str, Any]:
    runs = client_of(environment).search_runs([experiment_of(study, environment).experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def everything_in(study: Any, environment: Environment) -> dict[str, Any]:
    """All that MLflow holds of a study, run ids and the study's own name aside."""
    client, runs = client_of(environment), runs_of(study, environment)
    names = {run.info.run_id: name for name, run in runs.items()}
    return {
        name: {
            "status": (run.info.status, run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": {
                key: names.get(value, value.replace(study.name, "STUDY"))
                for key, value in run.data.tags.items()
                if key != "mlflow.user"
            },
            "metrics": {
                key: sorted(
                    (m.step, m.timestamp, repr(m.value))
                    for m in client.get_metric_history(run.info.run_id, key)
                )
                for key in run.data.metrics
            },
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            "data": [(i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs],
        }
        for name, run in runs.items()
    }
