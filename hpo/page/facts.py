"""Facts and tables on the page of a study."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hpo.config.stages import SEARCH
from hpo.journal.ranking import Configuration
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.page.study_page import ShownTable
from hpo.report.formats import duration, score_label, value, values_tried
from hpo.report.stage_order import outdated, outdated_line
from hpo.report.trial_tables import best_line, condition, trials_in_words
from hpo.space.symbols import by_symbol, symbol
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import best_of_stage, deciding_stage, found_configuration, stages_by_priority
from hpo.tasks.base.registry import units_note_of
from model.errors import UserError

_MOST_FAILURES = 100
"""Number of failed trials on the page."""


def summary(state: StudyState, writer: str | None) -> str:
    """Describe the state of the study and its best score in one line."""
    sentence = condition(state, writer)
    sentence = sentence[0].upper() + sentence[1:]
    found = found_configuration(state)
    if found is None:
        return f"{sentence}; no trial has a score yet."
    line = best_line(found.configuration, state, found.stage.start)
    return (
        f"{sentence}; {found.word} in stage {found.stage.stage}, by {score_label(state)} on the validation "
        f"split: {line}."
    )


def settings_facts(plan: StudyPlan, state: StudyState) -> dict[str, str]:
    """Describe the settings of the study."""
    created = state.created
    return {
        "Task": plan.study.task,
        "Stages": ", ".join(state.asked) or "none",
        "Objective": f"{score_label(state)} on the validation split, in [0, 1]"
        + ("; only the stage final opens the test split" if "final" in plan.study.stages.names() else ""),
        "Training": f"{plan.task.describe_training(plan.study, plan.shape)}; a stage may have its own number "
        "of epochs",
        "Seed": str(plan.seed),
        "Device": f"{plan.device}, {plan.precision}",
        "Started": moment(created.at),
        "Sessions": str(state.resumed + 1),
        "Code": created.code_digest,
        "Versions": ", ".join(f"{name} {version}" for name, version in state.versions.items()),
    }


def data_facts(plan: StudyPlan) -> dict[str, str]:
    """Describe the data set and, if they are still in the cache, both splits."""
    if not plan.description.reads_data:
        return {"Data set": f"opened by the task {plan.study.task}", "Digest of its files": plan.data_digest}
    facts = {"Data set": plan.dataset, "Folder": plan.data, "Digest": plan.data_digest}
    for name, split in (("Training", plan.train), ("Validation", plan.valid)):
        items = split.size(plan.task.unit)
        try:
            content = plan.task.describe_split(plan.task.open_split(split))
        except (UserError, OSError, ValueError):
            facts[name] = f"{items} (no longer in the cache)"
            continue
        facts[name] = ", ".join(filter(None, [items, content]))
    for number, notice in enumerate(plan.notices, start=1):
        facts[f"Note {number}"] = notice
    return facts


def stage_facts(stage: StageState, state: StudyState, *, is_running: bool) -> dict[str, str]:
    """Describe the settings, the progress and the result of a stage."""
    asked = state.asked.get(stage.stage)
    facts = {
        "Trials": trials_in_words(stage, state, is_running=is_running),
        "Epochs of a trial": str(stage.epochs),
        "Started": moment(stage.started_at),
        "Ended": moment(stage.finished_at) if stage.finished_at else "not yet",
    }
    if stage.stage == SEARCH:
        settings = asked.settings if asked else {}
        facts["Searched by"] = str(settings.get("searcher", "unknown"))
        facts["Stopped early by"] = str(settings.get("scheduler", "unknown"))
        for name, fields in stage.space.items():
            facts[f"Space of {symbol(name)}"] = values_tried(fields)
    if stage in outdated(state):
        facts["Basis"] = outdated_line(stage, state)
    found = best_of_stage(state, stage.stage)
    if found and found.has_ended:
        reason = _reason(found.configuration)
        facts[found.word.capitalize()] = f"{found.configuration.name}, which has {reason}"
    return facts


def _reason(best: Configuration) -> str:
    """Say why a configuration is the best one of its stage."""
    if best.expected:
        return "the highest expected score, by a model of all trials"
    return "the best mean over its seeds" if len(best.scores) > 1 else "the best score"


def representative_trials(state: StudyState) -> list[TrialState]:
    """Return the trials that can represent the study, the most important first; empty without a score."""
    found = [best_of_stage(state, stage) for stage in stages_by_priority(state)]
    return list({each.trial.trial: each.trial for each in found if each}.values())


def best_table(state: StudyState) -> ShownTable:
    """Return a table of the configuration that the study has found."""
    stage = deciding_stage(state)
    chosen = by_symbol(stage.chosen) if stage else {}
    caption = f"Found by stage {stage.stage}. {units_note_of(state.created, chosen)}" if stage else ""
    return ShownTable(
        header=["hyperparameter", "value"],
        rows=[[name, value(number)] for name, number in chosen.items()],
        caption=caption.rstrip(),
    )


def failures_table(state: StudyState) -> ShownTable:
    """Return a table of the failed trials with their reasons, the latest ones if there are many."""
    failed = [trial for trial in state.trials.values() if trial.status is TrialStatus.FAILED]
    return ShownTable(
        header=["trial", "reason"],
        rows=[[trial.trial, trial.reason or "unknown"] for trial in failed[-_MOST_FAILURES:]],
        caption=f"The latest {_MOST_FAILURES} of {len(failed):,} failed trials; the study's journal has all."
        if len(failed) > _MOST_FAILURES
        else "",
    )


def cost_table(state: StudyState) -> ShownTable:
    """Return a table of the time of every stage: the sum over its trials, and the elapsed time."""
    rows = [
        _cost_row(
            stage.stage,
            state.trials_of(stage.stage),
            (stage.finished_at or state.running.last_at) - stage.started_at,
        )
        for stage in state.stages.values()
    ]
    rows.append(_cost_row("all", list(state.trials.values()), state.running.last_at - state.created.at))
    return ShownTable(
        header=["stage", "trials", "training time of all trials", "elapsed time", "devices"],
        rows=rows,
        caption="Training time is the sum over all trials and includes validations. Elapsed time includes "
        "the time in which the study was stopped.",
    )


def _cost_row(name: str, trials: Sequence[TrialState], clock: timedelta) -> list[str]:
    spent_s = sum(trial.spent_s for trial in trials)
    devices = sorted({f"{trial.device} of {trial.host}" for trial in trials if trial.device})
    return [name, str(len(trials)), duration(spent_s), duration(clock.total_seconds()), ", ".join(devices)]


def moment(at: datetime) -> str:
    """Format a time, such as ``2026-01-02 12:00 UTC``."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
