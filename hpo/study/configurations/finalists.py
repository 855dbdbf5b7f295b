"""Configurations that a final compares."""

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from hpo.config.stages import FinalStage
from hpo.journal.events import Event, StageStarted
from hpo.journal.journal import stored_events
from hpo.journal.results import StudyState
from hpo.programs.deciding import DecidingProgram
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE
from hpo.space.space import Parameters
from hpo.study.plan import StudyPlan

OWN = "study file"
"""Role of the study file's own configuration, with which the others are compared."""


def chosen_finalists(
    plan: StudyPlan, stage: str, start: Parameters, state: StudyState
) -> Mapping[str, Parameters]:
    """Return the study file's configuration, the one that was found and the next best, by role.

    Equal configurations appear once.

    Args:
        plan: Plan of the study.
        stage: Name of the stage; only a final has finalists.
        start: Configuration that was found.
        state: The study so far.
    """
    settings = plan.study.stages.named(stage)
    if not isinstance(settings, FinalStage):
        return {}
    own = plan.own_configuration()
    found: dict[str, Parameters] = {"found": start}
    # One more, as the study file's configuration, which a search tries first, may be among the best.
    for candidate in state.ranked(plan.task.finders[0], settings.candidates + 1):
        found[candidate.name] = {**own, **candidate.parameters}
    chosen: dict[str, Parameters] = {OWN: own}
    for role, parameters in found.items():
        if len(chosen) <= settings.candidates and parameters not in chosen.values():
            chosen[role] = parameters
    return chosen


def finalists_at_start(
    plan: StudyPlan, stage: str, start: Parameters, folder: Path
) -> Mapping[str, Parameters]:
    """Return the finalists of a stage that has started, as ``chosen_finalists`` chose them at its start.

    They stay the same if the search gets more trials afterwards, or trains failed ones again.

    Args:
        plan: Plan of the study.
        stage: Name of the stage.
        start: Configuration that was found.
        folder: Folder of the study, whose journal has the start of the stage.
    """
    if not isinstance(plan.study.stages.named(stage), FinalStage):
        return {}

    def is_before(event: Event) -> bool:
        return not (isinstance(event, StageStarted) and event.stage == stage)

    before = StudyState.replay(takewhile(is_before, stored_events(folder)))
    return chosen_finalists(plan, stage, start, before)


def undecided_in_words(stage: str, state: StudyState) -> str:
    """Say which configurations a final that has ended could not tell apart; empty where the best is decided.

    A final with a fixed number of seeds decides nothing, so that this is empty too.
    """
    asked = state.asked.get(stage)
    has_ended = state.stages[stage].finished_at is not None
    if not (asked and asked.settings.get("seeds") == "until decided" and has_ended):
        return ""
    trials, most_seeds = state.trials_of(stage), asked.settings["most_seeds"]
    program = DecidingProgram(
        {trial.role: dict(trial.parameters) for trial in trials},
        most_seeds=most_seeds,
        first_replicate=FIRST_COMPARISON_REPLICATE,
    )
    *others, last = program.undecided(trials) or [""]
    if not others:
        return ""
    return (
        f"after {most_seeds} seeds, {', '.join(others)} and {last} were still undecided, by "
        "intervals that allow for repeated comparisons"
    )


def expected_finalists(plan: StudyPlan, stage: str) -> Mapping[str, Parameters]:
    """Return as many finalists as ``stage`` can have, before an earlier stage has found any."""
    settings = plan.study.stages.named(stage)
    if not isinstance(settings, FinalStage):
        return {}
    own = plan.own_configuration()
    return dict.fromkeys([OWN, *(f"candidate {number + 1}" for number in range(settings.candidates))], own)
