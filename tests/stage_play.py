"""Plays a stage without training: trials end with scores that a function gives."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from hpo.journal.events import TrialReported, Value
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.programs.program import Answer, Program

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ClassScores = Callable[[Mapping[str, Value], int], Mapping[str, float]]
"""(parameters, replicate) -> AP of every class; raises to let the trial fail."""


def asked(program: Program, trials: list[TrialState]) -> TrialState | Answer:
    """The program's next proposal as a running trial, added to ``trials``."""
    proposal = program.next(trials)
    if isinstance(proposal, Answer):
        return proposal
    trial = TrialState(
        trial=f"t{len(trials) + 1}",
        stage="s",
        parameters=proposal.parameters,
        seed=proposal.replicate,
        replicate=proposal.replicate,
        role=proposal.role,
        asked_at=NOON,
        status=TrialStatus.RUNNING,
    )
    trials.append(trial)
    return trial


def end(trial: TrialState, scores: ClassScores) -> None:
    """Finish a trial with the mean of its classes' scores, or fail it."""
    try:
        per_class = scores(trial.parameters, trial.replicate)
    except ValueError as error:
        trial.status, trial.reason = TrialStatus.FAILED, str(error)
        return
    mean = sum(per_class.values()) / len(per_class)
    metrics = {"average_map": mean, **{f"ap/{name}": value for name, value in per_class.items()}}
    trial.reports[1] = TrialReported(trial=trial.trial, epoch=1, metrics=metrics, train_s=1.0)
    trial.status, trial.score, trial.best_epoch = TrialStatus.FINISHED, mean, 1


def play(build: Callable[[], Program], scores: ClassScores, *, at_once: int = 1) -> list[TrialState]:
    """Play a stage to its end with a new program for every question, as after a restart."""
    trials: list[TrialState] = []
    while True:
        running = [trial for trial in trials if not trial.has_ended]
        answer = asked(build(), trials) if len(running) < at_once else Answer.WAIT
        if answer is Answer.DONE and not running:
            return trials
        if isinstance(answer, Answer):
            assert running, "nothing runs, nothing is proposed, and the stage is not done"
            end(running[0], scores)
