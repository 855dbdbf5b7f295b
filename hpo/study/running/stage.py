"""Run of one stage: its program, the training, the choice, and for a final the test split."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hpo.config.environment import Environment
from hpo.config.stages import FinalStage, SearchStage
from hpo.journal.budget import Limit
from hpo.journal.continuing import resume_command
from hpo.journal.events import BudgetEnded, Noticed, StageAsked, StageFinished, StageStarted, TrialTested
from hpo.journal.journal import Journal
from hpo.journal.ranking import counted_by_configuration
from hpo.journal.results import StudyState
from hpo.programs.program import Program
from hpo.schedule.local_ray import WorkersLostError
from hpo.schedule.tuner import run_trials
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.study.configurations.finalists import chosen_finalists, finalists_at_start
from hpo.study.configurations.first_points import why_not_first
from hpo.study.configurations.warm_start import describe_known, scored_points
from hpo.study.plan import StudyPlan, chunk_seed
from hpo.study.running.budget import StageBudget, measured_trial_s
from hpo.study.running.runner import Listener, StageRunner
from hpo.tasks.base.found import deciding_stage
from hpo.tasks.base.own_code import own_errors
from hpo.tasks.base.splits import Progress
from hpo.tasks.base.task import StageContext
from hpo.trial.files import BEST, trial_folder
from model.errors import ConfigError
from model.training.outcomes import FailedError

MOST_LOSSES = 3
"""Number of times in a row that Ray may end processes of trials before the study stops."""
RECOVERY_S = 5.0
"""Seconds for a machine to recover, in which Ray ends other processes too."""


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
        *,
        before_proposal: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the stage, or continue it from the journal.

        ``before_proposal`` is called before each new trial; it may wait for a second.

        Raises:
            UserError: The stage cannot be built on this data, or lacks a test split that it needs.
        """
        self._name, self._journal, self._state = name, journal, state
        self._environment, self._listener = environment, listener
        self._before_proposal = before_proposal
        self._plan = plan.with_stage(name, state.asked[name].settings)
        self._settings = self._plan.study.stages.named(name)
        self._begin()
        self._program = program_of(self._plan, name, state, journal.folder)
        epochs, measured_s = (
            self._plan.study.training.epochs,
            measured_trial_s(self._plan, name, state, environment),
        )
        self._budget = StageBudget(state, name, epochs, measured_s)
        self._runner = self._new_runner()

    def _new_runner(self) -> StageRunner:
        """Return what provides the trials that are left according to the journal."""
        return StageRunner(
            self._plan,
            self._name,
            self._program,
            self._journal,
            self._state,
            self._listener,
            self._budget,
            host=socket.gethostname() if self._environment.ray_address is None else "",
            before_proposal=self._before_proposal,
        )

    @property
    def complete(self) -> bool:
        """Whether the stage has ended according to the journal."""
        return self._name not in self._state.pending

    @property
    def needs_training(self) -> bool:
        """Whether the stage has trials left to train."""
        return not self._runner.complete

    @property
    def has_time(self) -> bool:
        """Whether the budget of the study leaves time to train."""
        return not self._budget.is_over

    @property
    def fails_alike(self) -> bool:
        """Whether the stage has stopped because its trials fail for the same reason."""
        return self._runner.fails_alike and not self.complete

    def finish(self) -> None:
        """Train the remaining trials, as many as the budget allows, and record the result."""
        if self.needs_training and self.has_time:
            self._train()
        if not self._runner.complete:
            if limit := self._runner.budget_over:
                self._end_budget(limit)
            return
        if isinstance(self._settings, FinalStage):
            _score_on_test_split(
                self._plan, self._name, self._journal, self._state, self._environment, self._listener
            )
        self._end()

    @property
    def is_cut_short(self) -> bool:
        """Whether this is a search that ends with the trials that its budget allowed."""
        return bool(self._state.stages[self._name].cut_short)

    def cut_short(self) -> None:
        """End a search with the trials that its budget allowed, for the stages after it."""
        stage = self._state.stages[self._name]
        reason = f"the budget of {stage.cut_short} is over"
        self._runner.close(reason)
        ended = f"{len(self._state.trials_of(self._name))} of {stage.trials} trials"
        self._write(Noticed(message=f"stage {self._name} ends after {ended}: {reason}"))
        self._end()

    def _begin(self) -> None:
        if self._name in self._state.stages:
            return
        if isinstance(self._settings, FinalStage):
            # It must not turn out to be missing after the training.
            open_test_split(self._plan, self._environment, _silent)
        asked = self._state.asked[self._name]
        start = start_of(self._plan, asked, self._state)
        finalists = chosen_finalists(self._plan, self._name, start, self._state)
        known = scored_points(asked.known)
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
        for note in (describe_known(asked.known), why_not_first(self._plan, asked)):
            if note:
                self._write(Noticed(message=note))

    def _end_budget(self, limit: Limit) -> None:
        """Record that the budget is over. A comparison has no result without all its trials."""
        has_validation = any(trial.reports for trial in self._state.trials_of(self._name))
        suffices = has_validation and isinstance(self._settings, SearchStage)
        self._write(
            BudgetEnded(stage=self._name, budget=limit.words, of_stage=limit.of_stage, suffices=suffices)
        )

    def _train(self) -> None:
        """Train until the end, also after Ray has ended processes because a machine ran out of memory.

        Raises:
            WorkersLostError: That has happened ``MOST_LOSSES`` times without a validation in between.
        """
        losses = 0
        while True:
            validated = self._validations
            try:
                run_trials(
                    self._runner,
                    self._plan.parallelism(self._name),
                    storage=self._journal.folder,
                    hangs_after_s=self._plan.study.training.hangs_after_s,
                )
                return
            except WorkersLostError as error:
                losses = 1 if self._validations > validated else losses + 1
                if losses == MOST_LOSSES:
                    study = self._state.created.study
                    resume = resume_command(study, cluster=self._environment.ray_address)
                    error.details["fix"] = f"free memory or lower --concurrent; nothing is lost: {resume}"
                    raise
                self._write(Noticed(message=f"{error.message}; its trials continue from their checkpoints"))
                time.sleep(RECOVERY_S)
                self._program = program_of(self._plan, self._name, self._state, self._journal.folder)
                self._runner = self._new_runner()

    @property
    def _validations(self) -> int:
        return sum(len(trial.reports) for trial in self._state.trials_of(self._name))

    def _end(self) -> None:
        trials = self._state.trials_of(self._name)
        choice = self._program.choice(trials)
        if choice is None:
            self._write(StageFinished(stage=self._name, best_trial=""))
            return
        chosen = {**self._plan.own_configuration(), **choice.parameters}
        self._write(
            StageFinished(
                stage=self._name,
                best_trial=choice.best_trial,
                chosen=chosen,
                role=choice.role,
                expected={name: (each.mean, each.deviation) for name, each in choice.expected.items()},
                noise=next((each.noise for each in choice.expected.values()), None),
            )
        )

    def _write(self, event: StageStarted | StageFinished | BudgetEnded | Noticed) -> None:
        self._journal.append(event)
        self._state.apply(event)
        self._listener(self._state)


def program_of(plan: StudyPlan, name: str, state: StudyState, folder: Path) -> Program:
    """Return the program of a stage that has started.

    Args:
        plan: Plan of the study with the settings of the stage.
        name: Name of the stage.
        state: The study so far.
        folder: Folder of the study.
    """
    start = dict(state.stages[name].start)
    finalists = finalists_at_start(plan, name, start, folder)
    return build_stage(plan, name, start, finalists=finalists, known=scored_points(state.asked[name].known))


def start_of(plan: StudyPlan, asked: StageAsked, state: StudyState) -> Parameters:
    """Return the configuration to start from: requested, else the one found, else the study file's.

    A search starts from none, so the result is empty for it.
    """
    if isinstance(plan.study.stages.named(asked.stage), SearchStage):
        return {}
    if asked.start:
        return dict(asked.start)
    stage = deciding_stage(state)
    return dict(stage.chosen) if stage else plan.own_configuration()


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


def open_test_split(plan: StudyPlan, environment: Environment, progress: Progress) -> Any:
    """Open the test split of the study's data.

    Raises:
        UserError: The data have no test split, or it cannot be read.
    """
    with own_errors(plan.study.task):
        return plan.task.open_test(plan.data_request(environment.cache), progress)


def _silent(what: str, done: int, total: int) -> None:
    """Report no progress: the test split is in the cache since the preparation of the stage."""


def _score_on_test_split(
    plan: StudyPlan,
    stage: str,
    journal: Journal,
    state: StudyState,
    environment: Environment,
    listener: Listener,
) -> None:
    """Score the best checkpoint of every trial of ``stage`` that counts and was not tested yet."""
    counted = counted_by_configuration(state.trials_of(stage))
    untested = [trial for trial in counted if trial.tested is None]
    if not untested:
        return
    # The driver's machine may have no GPU although trials train on those of a cluster.
    device = torch.device(plan.device if torch.cuda.is_available() else "cpu")
    task, shared = plan.task, plan.shared()
    split = open_test_split(plan, environment, _silent)
    for trial in untested:
        parameters, data_seed = dict(trial.parameters), chunk_seed(trial.seed)
        slot = task.slot(plan.study, parameters, plan.shape, seed=trial.seed, data_seed=data_seed)
        network = trial_folder(journal.folder, trial.trial) / BEST
        with own_errors(plan.study.task):
            try:
                metrics = task.test(network, slot, split, shared, device)
            except FailedError as error:
                copy = resume_command(state.created.study, "--fork", "NEW", cluster=environment.ray_address)
                raise ConfigError(
                    f"{trial.trial} has no score on the test split: {error}",
                    fix=f"remove the cause, then continue a copy: {copy}",
                ) from error
        event = TrialTested(trial=trial.trial, metrics=metrics, items=task.test_items(split))
        journal.append(event)
        state.apply(event)
        listener(state)
