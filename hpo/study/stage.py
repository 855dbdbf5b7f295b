"""Run of one stage: its program, the training, the choice, and for a final the test split."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hpo.config.environment import Environment
from hpo.config.stages import FinalStage, SearchStage
from hpo.journal.events import StageFinished, StageStarted, TrialTested
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.programs.program import Program
from hpo.schedule.tuner import run_trials
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.study.finalists import chosen_finalists
from hpo.study.plan import StudyPlan, chunk_seed
from hpo.study.runner import Listener, StageRunner, trial_folder
from hpo.study.warm_start import scored_points
from hpo.tasks.base.task import StageContext
from hpo.trial.run import BEST


class StageRun:
    """A stage that has not ended."""

    def __init__(
        self,
        plan: StudyPlan,
        name: str,
        journal: Journal,
        state: StudyState,
        environment: Environment,
        listener: Listener,
    ) -> None:
        """Start the stage, or continue it from the journal.

        Raises:
            UserError: The stage cannot be built on this data, or lacks a test split that it needs.
        """
        self._name, self._journal, self._state = name, journal, state
        self._environment, self._listener = environment, listener
        self._plan = plan.with_stage(name, state.asked[name].settings)
        self._settings = self._plan.study.stages.named(name)
        self._begin()
        self._program = program_of(self._plan, name, state)
        self._runner = StageRunner(self._plan, name, self._program, journal, state, listener)

    @property
    def complete(self) -> bool:
        """Whether the stage has ended according to the journal."""
        return self._name not in self._state.pending

    @property
    def needs_training(self) -> bool:
        """Whether the stage has trials left to train."""
        return not self._runner.complete

    def finish(self) -> None:
        """Train the remaining trials and record the result."""
        if self.needs_training:
            self._train()
        if not self._runner.complete:
            return
        if isinstance(self._settings, FinalStage):
            _open_test_split(
                self._plan, self._name, self._journal, self._state, self._environment, self._listener
            )
        self._end()

    def _begin(self) -> None:
        if self._name in self._state.stages:
            return
        if isinstance(self._settings, FinalStage):
            _test_split(self._plan, self._environment)  # a missing test split should fail before the training
        start = start_of(self._plan, self._name, self._state)
        finalists = chosen_finalists(self._plan, self._name, start, self._state)
        known = scored_points(self._state.asked[self._name].known)
        program = build_stage(self._plan, self._name, start, finalists=finalists, known=known)
        self._write(
            StageStarted(
                stage=self._name,
                space=self._plan.task.varied(self._plan.study, self._name, self._plan.shape),
                trials=program.planned,
                epochs=self._plan.study.training.epochs,
                start=start,
            )
        )

    def _train(self) -> None:
        run_trials(
            self._runner,
            self._plan.parallelism(self._name),
            storage=self._journal.folder,
            hangs_after_s=self._plan.study.training.hangs_after_s,
        )

    def _end(self) -> None:
        trials = self._state.trials_of(self._name)
        choice = self._program.choice(trials)
        if choice is None:
            self._write(StageFinished(stage=self._name, best_trial=""))
            return
        same = [trial for trial in trials if dict(trial.parameters) == choice.parameters]
        best = max(same, key=lambda trial: -1.0 if trial.score is None else trial.score)
        chosen = {**self._plan.own_configuration(), **choice.parameters}
        self._write(StageFinished(stage=self._name, best_trial=best.trial, chosen=chosen, role=choice.role))

    def _write(self, event: StageStarted | StageFinished) -> None:
        self._journal.append(event)
        self._state.apply(event)
        self._listener(self._state)


def program_of(plan: StudyPlan, name: str, state: StudyState) -> Program:
    """Return the program of a stage that has started; ``plan`` contains its settings."""
    start = dict(state.stages[name].start)
    known = scored_points(state.asked[name].known)
    return build_stage(plan, name, start, finalists=chosen_finalists(plan, name, start, state), known=known)


def start_of(plan: StudyPlan, name: str, state: StudyState) -> Parameters:
    """Return the configuration to start from: requested, else the latest found, else the study file's.

    A search starts from none, so the result is empty for it.
    """
    if isinstance(plan.study.stages.named(name), SearchStage):
        return {}
    if state.asked[name].start:
        return dict(state.asked[name].start)
    finders = plan.task.finders
    found = [dict(state.stages[finder].chosen) for finder in finders if finder in state.stages]
    return next(filter(None, reversed(found)), plan.own_configuration())


def build_stage(
    plan: StudyPlan,
    name: str,
    start: Parameters,
    *,
    finalists: Mapping[str, Parameters],
    known: Sequence[ScoredPoint] = (),
) -> Program:
    """Return the program of a stage that starts from ``start``; ``plan`` contains its settings."""
    return plan.task.program(
        StageContext(
            study=plan.study,
            stage=name,
            shape=plan.shape,
            train=plan.train,
            valid=plan.valid,
            start=start,
            finalists=finalists,
            seed=plan.search_seed,
            known=known,
        )
    )


def _test_split(plan: StudyPlan, environment: Environment) -> Any:
    """Open the test split of the study's data.

    Raises:
        UserError: The data have no test split, or it cannot be read.
    """
    return plan.task.open_test(plan.data_request(environment.cache), lambda what, done, total: None)


def _open_test_split(
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
    # The driver's machine may have no GPU although trials train on those of a cluster.
    device = torch.device(plan.device if torch.cuda.is_available() else "cpu")
    task, shared = plan.task, plan.shared()
    split = _test_split(plan, environment)
    for trial in untested:
        parameters, data_seed = dict(trial.parameters), chunk_seed(trial.seed)
        slot = task.slot(plan.study, parameters, plan.shape, seed=trial.seed, data_seed=data_seed)
        network = trial_folder(journal.folder, trial.trial) / BEST
        event = TrialTested(trial=trial.trial, metrics=task.test(network, slot, split, shared, device))
        journal.append(event)
        state.apply(event)
        listener(state)
