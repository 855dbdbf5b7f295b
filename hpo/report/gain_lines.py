"""Sentences about what further trials of a search are expected to gain."""

from hpo.journal.events import GainEstimated
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from model.shell import shell_line


def gain_line(state: StudyState, stage: str) -> str:
    """Say what further trials of a stage are expected to gain; empty without an estimate.

    If that is little, the line offers to stop there.
    """
    estimate = state.stages[stage].gain
    if estimate is None:
        return ""
    line = _expected(estimate)
    if not would_stop(state, stage):
        return line
    stop = shell_line("hpo", "stop", state.created.study)
    extend = shell_line("hpo", "run", "bayes", "--study", state.created.study, "--stop-when", "unlikely")
    return f'{line}: stop_when = "unlikely" would stop here; to do so: {stop}, then {extend}'


def would_stop(state: StudyState, stage: str) -> bool:
    """Return whether ``stop_when = "unlikely"``, which the stage does not have, would stop it now."""
    has_rule = stage in state.asked and state.asked[stage].settings.get("stop_when") == "unlikely"
    return not has_rule and state.stages[stage].unlikely >= UNLIKELY


def ended_as_unlikely(state: StudyState, stage: str) -> str:
    """Say why a search ends before its last trial, and how to continue it."""
    estimate, planned = state.stages[stage].gain, state.stages[stage].trials
    assert estimate is not None
    extend = shell_line("hpo", "run", "bayes", "--study", state.created.study, "--stop-when", "never")
    return (
        f"stage {stage} ends after {len(state.trials_of(stage))} of {planned} trials: {_expected(estimate)}, "
        f"in {UNLIKELY} estimates in a row less than the noise; to continue: {extend}"
    )


def _expected(estimate: GainEstimated) -> str:
    return (
        f"{estimate.trials} further trials are expected to gain {estimate.gain:.2g} "
        f"(noise between seeds about {estimate.noise:.2g})"
    )
