"""Reading single runs back from MLflow, for a person who names one."""

from hpo.config.environment import Environment
from hpo.tracking.experiment import connect
from hpo.tracking.store import make_store


def run_parameters(environment: Environment, run_id: str) -> dict[str, int | float | str] | None:
    """The parameters of a run by name, numbers as numbers; None when the store has no such run."""
    from mlflow.exceptions import MlflowException

    make_store(environment)
    try:
        run = connect(environment.tracking_uri).get_run(run_id)
    except MlflowException:
        return None
    return {name: _number(text) for name, text in run.data.params.items()}


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
