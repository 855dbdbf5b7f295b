"""Searches that ``stop_when = "unlikely"`` has ended before their last trial."""

from hpo.journal.continuing import run_command
from hpo.journal.events import GainEstimated
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY


def has_stop_rule(state: StudyState, stage: str) -> bool:
    """Return whether a stage ends when further trials are unlikely to gain anything."""
    return stage in state.asked and state.asked[stage].settings.get("stop_when") == "unlikely"


def ended_as_unlikely(state: StudyState, stage: str) -> bool:
    """Return whether the rule has ended a stage before its last trial."""
    known = state.stages[stage]
    has_ended = known.finished_at is not None and len(state.trials_of(stage)) < known.trials
    return has_ended and has_stop_rule(state, stage) and known.unlikely >= UNLIKELY


def early_end_lines(state: StudyState, cluster: str | None = None) -> list[str]:
    """Say of each stage that the rule has ended why, and how to continue it on ``cluster``."""
    return [_line(state, stage, cluster) for stage in state.stages if ended_as_unlikely(state, stage)]


def continue_beyond(study: str, cluster: str | None = None) -> str:
    """Return the command that continues a search which the rule has ended on ``cluster``."""
    return run_command("bayes", "--study", study, "--stop-when", "never", cluster=cluster)


def expected_in_words(estimate: GainEstimated) -> str:
    """Say what further trials are expected to gain."""
    return (
        f"{estimate.trials} further trials are expected to gain {estimate.gain:.2g} "
        f"(noise between seeds about {estimate.noise:.2g})"
    )


def _line(state: StudyState, stage: str, cluster: str | None) -> str:
    known, ran = state.stages[stage], len(state.trials_of(stage))
    assert known.gain is not None, "the rule needs estimates"
    return (
        f"stage {stage} ended after {ran} of {known.trials} trials: {expected_in_words(known.gain)}, in "
        f"{UNLIKELY} estimates in a row less than the noise; to continue: "
        f"{continue_beyond(state.created.study, cluster)}"
    )
