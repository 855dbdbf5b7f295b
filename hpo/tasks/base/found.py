"""The configuration that a study has found: one answer for status, tables, pages and MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass

from hpo.journal.events import Value
from hpo.journal.ranking import Configuration, has_score
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.programs.estimates import ScoreEstimates
from hpo.tasks.base.registry import description_of, score_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best configuration of a study on the validation split, as its stage chose it or ranks it so far."""

    stage: StageState
    """The stage that ranks it first."""
    decides: bool
    """Whether the stage chooses the study's configuration, as no stage does that only compares."""
    configuration: Configuration
    """Trials of the configuration in that stage."""
    trial: TrialState
    """The trial whose network represents it."""

    @property
    def has_ended(self) -> bool:
        """Whether the stage has ended; otherwise the configuration is the best so far."""
        return bool(self.stage.chosen)

    @property
    def is_chosen(self) -> bool:
        """Whether the stage has ended and chooses the study's configuration."""
        return self.has_ended and self.decides

    @property
    def word(self) -> str:
        """``best so far``; at the end of its stage ``chosen``, or ``best`` if the stage only compares."""
        if not self.has_ended:
            return "best so far"
        return "chosen" if self.decides else "best"

    @property
    def parameters(self) -> Mapping[str, Value]:
        """All hyperparameters of the configuration; before its stage ends, those that its trials vary."""
        return self.stage.chosen or self.configuration.parameters


def best_of_stage(state: StudyState, stage: str) -> Found | None:
    """Return the best configuration of a stage, at its end or so far; None while it has no score."""
    ended = state.stages[stage]
    ranked = state.ranked(stage, 1)
    if not ranked:
        return None
    best, decides = ranked[0], stage in description_of(state.created).deciding
    if ended.best_trial is None:
        return Found(stage=ended, decides=decides, configuration=best, trial=best.best_trial)
    if ended.role != best.name:  # an earlier version may have chosen otherwise
        best = next((each for each in state.ranked(stage) if each.name == ended.role), best)
    return Found(stage=ended, decides=decides, configuration=best, trial=state.trials[ended.best_trial])


def stages_by_priority(state: StudyState) -> list[str]:
    """Return the stages with scores: first those that choose the study's configuration, the latest first.

    Stages that only compare, such as an ablation, choose nothing and come last.
    """
    deciding = [name for name in description_of(state.created).deciding if name in state.stages]
    chosen = [name for name in deciding if state.stages[name].chosen]
    names = dict.fromkeys([*chosen, *deciding, *state.stages])
    return [name for name in names if state.ranked(name, 1)]


def found_configuration(state: StudyState) -> Found | None:
    """Return the best configuration of a study; None while no trial has a score."""
    return next((best_of_stage(state, name) for name in stages_by_priority(state)), None)


def deciding_stage(state: StudyState) -> StageState | None:
    """Return the stage that chose the study's configuration, the latest of several; None while none has."""
    return _deciding_of(state.stages, state)


def former_basis(stage: StageState, state: StudyState) -> StageState | None:
    """Return the stage on whose former choice ``stage`` rests, as it was then; None if its basis still holds.

    A stage starts from the choice of another one, which may have started from that of a third.
    """
    basis = _deciding_of(stage.earlier, state)
    if basis is None:
        return None
    deeper = former_basis(basis, state)
    if deeper and deeper.stage in stage.earlier and stage.earlier[deeper.stage].chosen == deeper.chosen:
        return deeper
    now = state.stages[basis.stage]
    return basis if now.finished_at is None or now.chosen != basis.chosen else None


def _deciding_of(stages: Mapping[str, StageState], state: StudyState) -> StageState | None:
    deciding = [stages[name] for name in description_of(state.created).deciding if name in stages]
    return next((stage for stage in deciding if stage.chosen), None)


def estimated_scores(state: StudyState, stage: str) -> dict[str, float]:
    """Return trial -> score for the trials of a search that have one, in the order of proposal.

    A trial that was stopped early has the score that it is expected to reach: after fewer epochs scores are
    lower, whatever the hyperparameters.
    """
    trials = [trial for trial in state.trials_of(stage) if trial.has_ended and has_score(trial)]
    model = ScoreEstimates(score_of(state.created).metric)
    if any(trial.status is TrialStatus.STOPPED for trial in trials):
        model.learn(trials)
    estimates = {trial.trial: model.estimate(trial) for trial in trials}
    return {name: estimate.score for name, estimate in estimates.items() if estimate is not None}
