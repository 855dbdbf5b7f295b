"""Sentences about the order of stages: those that continue first, and those to run anew."""

from hpo.journal.continuing import run_command
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.tasks.base.found import former_basis


def unfinished_lines(state: StudyState, requested: str) -> list[str]:
    """Name the stages that have not ended, which run before the stage ``requested``."""
    started = {name: state.stages.get(name) for name in state.pending if name != requested}
    return [
        f"stage {name} is not finished and continues first{_progress(stage, state)}"
        for name, stage in started.items()
        if not (stage and stage.over and stage.over.suffices)  # such a search ends with the trials it has
    ]


def _progress(stage: StageState | None, state: StudyState) -> str:
    if stage is None:
        return ""
    return f": {len(state.tally(stage.stage).ended)} of at most {stage.trials} trials have ended"


def outdated(state: StudyState) -> list[StageState]:
    """Return the stages that started from another configuration than their search chooses now.

    While the search still gets its new trials, all stages that started from its former choice count. A stage
    that has trained the new choice as well is up to date.
    """
    return [
        stage
        for stage in state.stages.values()
        if (former := former_basis(stage, state)) and not _has_trained_choice(stage, former, state)
    ]


def outdated_lines(state: StudyState, cluster: str | None = None) -> list[str]:
    """Name the stages that started from a former best of their search, and the commands to run them anew.

    ``cluster`` is the address of the Ray cluster that trains the study, which the commands get.
    """
    stages = outdated(state)
    if not stages:
        return []
    lines = [outdated_line(stage, state) for stage in stages]
    first, *others = stages
    former = former_basis(first, state)
    assert former is not None
    best = state.stages[former.stage].best_trial
    if best is None:
        return lines
    source = f"{state.created.study}/{best}"
    commands = [run_command(first.stage, "--from", source, "--study", "NEW", cluster=cluster)]
    commands += [run_command(stage.stage, "--study", "NEW", cluster=cluster) for stage in others]
    return [*lines, f"to run {'them' if others else 'it'} anew: {', then '.join(commands)}"]


def outdated_line(stage: StageState, state: StudyState) -> str:
    """Say which former best a stage started from, and what replaces it; ``stage`` is one of ``outdated``."""
    former = former_basis(stage, state)
    assert former is not None
    search = state.stages[former.stage]
    now = f"now it is {search.best_trial}" if search.best_trial else "this search gets more trials now"
    return (
        f"stage {stage.stage} started from {former.best_trial}, which was the best of stage "
        f"{search.stage} then; {now}"
    )


def _has_trained_choice(stage: StageState, former: StageState, state: StudyState) -> bool:
    chosen = dict(state.stages[former.stage].chosen)
    return bool(chosen) and any(dict(trial.parameters) == chosen for trial in state.trials_of(stage.stage))
