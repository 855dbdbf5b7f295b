"""Trained network that a user names: a file, or a model in MLflow's registry."""

from pathlib import Path

from hpo.config.environment import Environment
from hpo.tasks.base.registry import description_named
from hpo.tracking.registry import SCHEME, registered_network
from model.errors import UserError
from model.weights.trained import TrainedNetwork


def named_network(weights: str, environment: Environment) -> TrainedNetwork:
    """Load the network in a file, or the registered one at ``models:/NAME/VERSION``.

    Raises:
        UserError: There is no such file or model, or it is not a network for action spotting.
    """
    if not weights.startswith(SCHEME):
        return TrainedNetwork.load(Path(weights))
    with registered_network(environment, weights) as (task, file):
        if not _spots(task):
            raise UserError(f"expected a network of action spotting, and {weights} is one of the task {task}")
        return TrainedNetwork.load(file)


def _spots(task: str) -> bool:
    """Return whether the networks of a task spot actions; the task itself may be one of another folder."""
    try:
        return description_named(task).analyses
    except UserError:
        return False
