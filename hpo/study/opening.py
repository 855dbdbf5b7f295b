"""Opening the test split: once for each finished trial of a final, when nothing is tuned any more."""

from typing import Any

import torch

from hpo.config.environment import Environment
from hpo.journal.events import TrialTested
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan, chunk_seed
from hpo.study.runner import Listener, trial_folder
from hpo.trial.run import BEST


def test_split(plan: StudyPlan, environment: Environment) -> Any:
    """The test split of the study's data.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    return plan.task.open_test(plan.data_request(environment.cache), lambda what, done, total: None)


def open_test_split(
    plan: StudyPlan,
    stage: str,
    journal: Journal,
    state: StudyState,
    environment: Environment,
    listener: Listener,
) -> None:
    """Score the best checkpoint of every finished trial of ``stage`` that was not tested yet."""
    untested = [trial for trial in state.trials_of(stage) if trial.score is not None and trial.tested is None]
    if not untested:
        return
    task, shared, device = plan.task, plan.shared(), torch.device(plan.device)
    split = test_split(plan, environment)
    for trial in untested:
        parameters, data_seed = dict(trial.parameters), chunk_seed(trial.seed)
        slot = task.slot(plan.study, parameters, plan.shape, seed=trial.seed, data_seed=data_seed)
        network = trial_folder(journal.folder, trial.trial) / BEST
        event = TrialTested(trial=trial.trial, metrics=task.test(network, slot, split, shared, device))
        journal.append(event)
        state.apply(event)
        listener(state)
