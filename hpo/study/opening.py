"""Opening the test split: once for each finished trial of a final, when nothing is tuned any more."""

import torch

from hpo.config.environment import Environment
from hpo.journal.events import TrialTested
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan
from hpo.study.runner import Listener, trial_folder
from hpo.study.spotting import spotting_training
from hpo.tasks.calf.data import open_games
from hpo.trial.run import BEST
from model.inference.evaluation import find_spots
from model.metrics.average_map import average_map
from model.weights.trained import TrainedNetwork


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
    store = open_games(plan.data, features=plan.features, split="test", cache=environment.cache)
    device, scoring = torch.device(plan.device), spotting_training(plan)
    for trial in untested:
        trained = TrainedNetwork.load(trial_folder(journal.folder, trial.trial) / BEST)
        spots = find_spots(trained.network.to(device), store, precision=plan.precision, device=device)
        score = average_map(
            spots,
            store.actions,
            classes=len(store.classes),
            frame_rate=store.frame_rate,
            nms_window_s=scoring.nms_window_s,
        )
        per_class = {f"ap/{name}": value for name, value in zip(store.classes, score.per_class, strict=True)}
        event = TrialTested(trial=trial.trial, metrics={"average_map": score.average_map, **per_class})
        journal.append(event)
        state.apply(event)
        listener(state)
