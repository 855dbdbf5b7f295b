"""Sentences about what further trials of a running search are expected to gain."""

from hpo.journal.continuing import run_command
from hpo.journal.early_end import expected_in_words, has_stop_rule
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from model.shell import shell_line


def gain_line(state: StudyState, stage: str, cluster: str | None = None) -> str:
    """Say what further trials of a stage are expected to gain; empty without an estimate.

    If that is little, the line offers to stop there. ``cluster`` is the address of the Ray cluster that
    trains the study.
    """
    estimate = state.stages[stage].gain
    if estimate is None:
        return ""
    line = expected_in_words(estimate)
    if not would_stop(state, stage):
        return line
    stop = shell_line("hpo", "stop", state.created.study)
    options = ("--study", state.created.study, "--stop-when", "unlikely")
    extend = run_command("bayes", *options, cluster=cluster)
    return f'{line}: stop_when = "unlikely" would stop here; to do so: {stop}, then {extend}'


def would_stop(state: StudyState, stage: str) -> bool:
    """Return whether ``stop_when = "unlikely"``, which the stage does not have, would stop it now."""
    return not has_stop_rule(state, stage) and state.stages[stage].unlikely >= UNLIKELY
