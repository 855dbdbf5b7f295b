"""Tables of studies and trials."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from hpo.journal.continuing import resume_command
from hpo.journal.early_end import early_end_lines
from hpo.journal.events import Value
from hpo.journal.ranking import CONFIDENCE, GRID, Configuration
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.budget_lines import left_line, more_time
from hpo.report.formats import class_score, duration, expected_score, mean_with_interval, value
from hpo.report.gain_lines import gain_line
from hpo.report.stage_order import outdated_lines
from hpo.search.importance import sample_note
from hpo.search.searcher import NOISE
from hpo.space.symbols import by_symbol, is_in_frames, symbol
from hpo.tasks.base.found import best_of_stage, deciding_stage
from hpo.tasks.base.registry import classes_of, external_task_code, score_of
from hpo.tasks.base.score import Score
from model.shell import shell_line
from model.wording import counted

_EXPECTED = (
    " Ordered by expected: the mean score over seeds that a model of all trials predicts, with its "
    f"{100 * CONFIDENCE:.0f} % interval."
)
SHOWN_FAILURES = 20
"""Number of failed trials that ``hpo status`` lists, the latest ones."""


def best_table(configurations: Sequence[Configuration], classes: Sequence[str], *, score: Score) -> Table:
    """Return a table of configurations: score, hyperparameters, AP per class, all on the validation split.

    The score of a configuration with several seeds is their mean with its 95 % interval. The score that the
    model of a finished search expects comes before it, because it decides the order. A hyperparameter
    whose condition does not hold is ``-``. If a class has no actions in the validation split, its AP is
    ``-``, and the score is shown as mean over all classes and as mean over the classes present.
    """
    metrics = [configuration.metrics for configuration in configurations]
    other = next(filter(None, (score.other_mean(found, classes) for found in metrics)), None)
    several = any(len(configuration.trials) > 1 for configuration in configurations)
    stopped = any(configuration.stopped for configuration in configurations)
    expected = any(configuration.expected for configuration in configurations)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", no_wrap=True)
    parameters = list(dict.fromkeys(name for each in configurations for name in each.parameters))
    names = [
        *(["seeds"] if several else []),
        *(["expected"] if expected else []),
        *((score.full_label, other.full_label) if other else (score.label,)),
        *map(symbol, parameters),
        *(f"AP {name}" for name in classes),
        "epoch",
        "time",
    ]
    for name in names:
        table.add_column(name, justify="right")
    if stopped:
        table.add_column("stopped early")
    for configuration in configurations:
        cells = _row(configuration, parameters, classes, other)
        seeds = [_seeds(configuration)] if several else []
        seeds += [expected_score(configuration)] if expected else []
        early = [_early_stop(configuration)] if stopped else []
        table.add_row(configuration.name, *seeds, *cells, *early)
    return table


def scores_line(configurations: Sequence[Configuration]) -> str:
    """Explain the scores of ``best_table``: split, number of seeds, interval."""
    most = max((len(configuration.scores) for configuration in configurations), default=0)
    has_expected = any(configuration.expected for configuration in configurations)
    note = _EXPECTED if has_expected else ""
    if most < 2:
        basis = noise_sentence(configurations)
        return f"Scores: validation split, one seed per configuration.{note}{' ' if basis else ''}{basis}"
    return (
        f"Scores: validation split, means over the seeds; ± is the {100 * CONFIDENCE:.0f} % interval of the "
        f"mean over as many seeds as the column seeds says.{note}"
    )


def noise_sentence(configurations: Sequence[Configuration]) -> str:
    """Say on which noise the intervals of the expected scores rely; empty if several seeds have shown it."""
    learnt = {each.expected.noise for each in configurations if each.expected}
    if not learnt or any(len(each.scores) > 1 for each in configurations):
        return ""
    (noise,) = learnt
    if noise is None:  # an older journal
        known = "the seed-to-seed noise that the model learnt from the search"
    else:
        prior = f"prior: at most {NOISE:g}"
        known = f"a seed-to-seed noise of {noise:.2g}, which the model learnt from the search ({prior})"
    return f"With one seed per configuration, the interval relies on {known}."


def importance_line(shares: Mapping[str, float], *, scores: int) -> str:
    """Format the importance of hyperparameters, such as ``importance: f 0.41  r 0.22``.

    Args:
        shares: Name -> share.
        scores: Number of configurations with a score, of which many are sampled.
    """
    note = sample_note(scores)
    shown = "  ".join(f"{symbol(name)} {share:.2f}" for name, share in shares.items())
    return f"importance{f' ({note})' if note else ''}: {shown}"


def _row(
    configuration: Configuration, names: Sequence[str], classes: Sequence[str], other: Score | None
) -> list[str]:
    metrics, parameters = configuration.metrics, configuration.parameters
    return [
        mean_with_interval(configuration),
        *([f"{metrics[other.metric]:.4f}" if other.metric in metrics else "-"] if other else []),
        *(value(parameters[name]) if name in parameters else "-" for name in names),
        *(class_score(metrics, name, digits=3) for name in classes),
        ", ".join(str(trial.best_epoch) for trial in configuration.scored),
        duration(configuration.duration_s),
    ]


def _seeds(configuration: Configuration) -> str:
    scored, trained = len(configuration.scores), len(configuration.trials)
    return str(scored) if scored == trained else f"{scored} of {trained}"


def _early_stop(configuration: Configuration) -> str:
    epochs = [trial.epochs_trained for trial in configuration.stopped]
    return f"at epoch {', '.join(map(str, epochs))}" if epochs else ""


def configuration_record(configuration: Configuration, *, score: str) -> dict[str, Any]:
    """Return a configuration as JSON, with the paper's symbols; ``score`` names the metric that is maximised.

    Scores and metrics are means over the seeds; ``half_width`` belongs to the 95 % interval of the score and
    is null for a single seed. ``expected`` is the score that the model of a finished search expects, null
    where the mean over seeds decides.
    """
    best = configuration.best_trial
    return {
        "configuration": configuration.name,
        "trial": best.trial,
        "status": str(best.status),
        score: configuration.mean,
        "half_width": configuration.half_width,
        "expected": configuration.expected.mean if configuration.expected else None,
        "expected_half_width": configuration.expected.half_width if configuration.expected else None,
        "seeds": len(configuration.scores),
        "epoch": best.best_epoch,
        "parameters": by_symbol(configuration.parameters),
        "seed": best.seed,
        "metrics": configuration.metrics,
        "duration_s": configuration.duration_s,
        "trials": {trial.trial: trial.score for trial in configuration.trials},
    }


def found_record(state: StudyState, *, score: str) -> dict[str, Any]:
    """Return the configuration that the study chose as JSON: its hyperparameters, and where they come from.

    ``found`` is empty and ``found_by`` null until a stage has ended.
    """
    stage = deciding_stage(state)
    if stage is None:
        return {"found": {}, "found_by": None}
    found, by = best_of_stage(state, stage.stage), {}
    if found:
        by = configuration_record(found.configuration, score=score)
    kept = ("configuration", score, "half_width", "expected", "expected_half_width", "seeds", "trials")
    return {
        "found": by_symbol(stage.chosen),
        "found_by": {"stage": stage.stage, **{key: by[key] for key in kept if key in by}},
    }


def status_lines(name: str, state: StudyState, *, writer: str | None) -> list[str]:
    """Describe the state of a study in a few lines."""
    lines = [f"study {name}: {condition(state, writer)}"]
    for stage in state.stages.values():
        lines.append(f"stage {stage.stage}: {trials_in_words(stage, state, is_running=writer is not None)}")
        lines += _time_lines(state, stage, is_running=writer is not None)
        if found := best_of_stage(state, stage.stage):
            lines.append(f"{found.word}: {best_line(found.configuration, state, stage.start)}")
    failed = [trial for trial in state.trials.values() if trial.status is TrialStatus.FAILED]
    lines.extend(f"failed: {trial.trial}: {trial.reason}" for trial in failed[-SHOWN_FAILURES:])
    if len(failed) > SHOWN_FAILURES:
        export = shell_line("hpo", "export", name, "--to", "FILE.csv")
        lines.append(f"failed: {len(failed) - SHOWN_FAILURES} earlier trials; write all to a table: {export}")
    if failed and not writer:
        lines.append(retry_line(name, state))
    lines.extend(f"note: {note}" for note in (*state.notes, *early_end_lines(state)))
    return [*lines, *outdated_lines(state)]


def trials_in_words(stage: StageState, state: StudyState, *, is_running: bool) -> str:
    """Count the trials of a stage, such as ``3 of 20 trials finished, 1 waiting to be resumed``."""
    counts = state.counts(stage=stage.stage)
    parts = [
        f"{counts[TrialStatus.FINISHED]} of {counted(state.trials_at_most(stage.stage), 'trial')} finished"
    ]
    started, waiting = counts[TrialStatus.RUNNING], counts[TrialStatus.ASKED]
    if not is_running and started + waiting:
        parts.append(f"{started + waiting} waiting to be resumed")
    if is_running and started:
        parts.append(f"{started} running")
    if is_running and waiting:
        parts.append(f"{waiting} starting or waiting for a free core")
    if counts[TrialStatus.STOPPED]:
        parts.append(f"{counts[TrialStatus.STOPPED]} stopped early")
    if counts[TrialStatus.FAILED]:
        parts.append(f"{counts[TrialStatus.FAILED]} failed")
    return ", ".join(parts)


def retry_line(name: str, state: StudyState, cluster: str | None = None) -> str:
    """Describe how the failed trials of a study that is not running are trained again, on ``cluster``."""
    # A task of the user's own is fixed in its code, with which only a copy can continue.
    copy = ("--fork", "NEW") if external_task_code(state.created.plan["study"]["task"]) else ()
    command = resume_command(name, *copy, "--retry-failed", cluster=cluster)
    return f"to train failed trials again after you have fixed the cause: {command}"


def _time_lines(state: StudyState, stage: StageState, *, is_running: bool) -> list[str]:
    if stage.finished_at or stage.over:
        return []
    left = left_line(state, stage.stage, datetime.now(UTC), is_running=is_running)
    return [line for line in (left, gain_line(state, stage.stage)) if line]


def best_line(
    configuration: Configuration, state: StudyState, start: Mapping[str, Value] | None = None
) -> str:
    """Describe a configuration with a score in one line, with the values that differ from ``start``."""
    trial, several = configuration.trials[0], len(configuration.scores) > 1
    score, classes = score_of(state.created), classes_of(state.created)
    described = score.describe(configuration.mean, configuration.metrics, classes)
    if several:
        described += f" ± {configuration.half_width:.4f} (95 %, {len(configuration.scores)} seeds)"
    settings = describe_settings(trial, start or {}).removeprefix(configuration.name).strip()
    if not settings:  # a configuration with a name, in which nothing differs from the start
        shared = {name: number for name, number in trial.parameters.items() if "." not in name}
        settings = "  ".join(f"{symbol(name)} {value(number)}" for name, number in shared.items())
    return f"{described} by {configuration.name}{f' ({settings})' if settings else ''}"


def describe_settings(trial: TrialState, start: Mapping[str, Value]) -> str:
    """Describe a trial's settings: its role, and the hyperparameters that differ from ``start``.

    Hyperparameters of one class, such as ``K1_frames.goal`` to ``K4_frames.goal``, are shown together.
    """
    own = {name: number for name, number in trial.parameters.items() if start.get(name) != number}
    parts = [trial.role] if trial.role and trial.role != GRID else []
    parts += [f"{symbol(name)} {value(number)}" for name, number in own.items() if "." not in name]
    for label in dict.fromkeys(name.partition(".")[2] for name in own if "." in name):
        parts.append(f"{label} {_class_values(label, trial.parameters)}")
    return "  ".join(parts) or "start"


def _class_values(label: str, parameters: Mapping[str, Value]) -> str:
    """Format the values of one class, such as ``K -40 -20 10 60 frames`` for ``K1`` to ``K4``."""
    values: dict[str, list[str]] = {}
    units = {}
    for name, number in parameters.items():
        stem, _, its_label = name.partition(".")
        if its_label == label:
            group = symbol(stem).rstrip("0123456789")
            values.setdefault(group, []).append(value(number))
            units[group] = " frames" if is_in_frames(stem) else ""
    return "  ".join(f"{group} {' '.join(numbers)}{units[group]}" for group, numbers in values.items())


def condition(state: StudyState, writer: str | None) -> str:
    """Describe whether a study is running, complete or stopped; ``writer`` names the running process."""
    if writer is not None:
        return f"running ({writer})"
    if state.is_complete:
        return "complete"
    if state.budget_over:
        return f"the budget of {state.budget_over} is over; continue with: {more_time(state)}"
    return f"stopped; resume with: {resume_command(state.created.study)}"
