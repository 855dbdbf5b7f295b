"""Texts for a paper about a study: verdict, table and methods paragraph, in Markdown and LaTeX."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from hpo.config.stages import SEARCH, FinalStage, SearchStage
from hpo.journal.ranking import Configuration, half_width
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialStatus
from hpo.report.formats import duration, expected_score, value, values_tried
from hpo.report.trial_tables import noise_sentence
from hpo.space.symbols import by_symbol, symbol
from hpo.study.configurations.finalists import undecided_in_words
from hpo.study.plan import StudyPlan
from hpo.study.recorded.verdict import Verdict, verdict
from hpo.tasks.base.splits import counted_items
from model.errors import UserError
from model.files import write_whole
from model.training.schedule import TrainingSchedule
from model.wording import counted, with_interval

MARKDOWN, LATEX = "paper.md", "paper.tex"
_METHODS = ("mode", "replicates", "seeds")
"""Settings that describe a stage which is neither a search nor a final."""
_TOP = 5
"""Number of configurations in the table."""
_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def write_paper(plan: StudyPlan, state: StudyState, folder: Path, *, prefix: str = "") -> list[Path]:
    """Write the texts into ``folder`` and return the files; none while no trial has a score.

    Args:
        plan: Plan of the study.
        state: The study.
        folder: Folder of the files, which are replaced if they exist.
        prefix: Beginning of the files' names, such as ``page.`` for ``page.paper.md``.

    Raises:
        UserError: A file cannot be written.
    """
    found = verdict(plan, state)
    if found is None:
        return []
    header, rows = _table(plan, state, found)
    searched = (
        symbol(name)
        for stage in state.stages.values()
        if isinstance(plan.study.stages.named(stage.stage), SearchStage)
        for name in stage.space
    )
    note = plan.description.units_note(plan.shape, {*header, *searched})
    name, sentence, methods = state.created.study, _sentence(found), methods_paragraph(plan, state)
    contents = {
        folder / f"{prefix}{MARKDOWN}": [
            f"# Study {name}",
            sentence,
            _markdown(header, rows),
            note,
            "## Methods",
            methods,
        ],
        folder / f"{prefix}{LATEX}": [
            f"% Study {name}\n{_escaped(sentence)}",
            _latex(header, rows),
            _escaped(note),
            f"\\paragraph{{Hyperparameters.}}\n{_escaped(methods)}",
        ],
    }
    for file, paragraphs in contents.items():
        try:
            text = "\n\n".join(filter(None, paragraphs)) + "\n"
            # Features have the names of their files, which may not be UTF-8.
            write_whole(file, text.encode(errors="backslashreplace"))
        except OSError as error:
            raise UserError(f"cannot write the file: {error.strerror}", file=file) from None
    return list(contents)


def methods_paragraph(plan: StudyPlan, state: StudyState) -> str:
    """Describe how the study was made, with its numbers."""
    sentences = [_data_sentence(plan), *(_stage_sentence(plan, state, name) for name in state.stages)]
    versions = ", ".join(f"{name} {version}" for name, version in state.versions.items())
    spent_s = sum(trial.spent_s for trial in state.trials.values())
    sentences += [
        _judging_sentence(state),
        "Intervals of means are 95 % intervals by Student's t, and differences are paired by seed.",
        f"All trials took {duration(spent_s)} of training on {plan.device} in {plan.precision}, from seed "
        f"{plan.seed} (software: {versions}).",
    ]
    return " ".join(sentences)


def _stage_sentence(plan: StudyPlan, state: StudyState, name: str) -> str:
    stage, asked = state.stages[name], state.asked.get(name)
    study = (plan.with_stage(name, asked.settings) if asked else plan).study
    settings = study.stages.named(name)
    counts, epochs = state.counts(stage=name), counted(stage.epochs, "epoch")
    ended = (
        f"{counted(counts[TrialStatus.FINISHED], 'trial')} finished, "
        f"{counts[TrialStatus.STOPPED]} stopped early, {counts[TrialStatus.FAILED]} failed"
    )
    if isinstance(settings, SearchStage):
        ranges = ", ".join(
            f"{symbol(parameter)} ({values_tried(axis)})" for parameter, axis in stage.space.items()
        )
        search = _search_in_words(settings, study.training.schedule)
        what = f"searched {ranges} with {search} and {epochs} per trial"
    elif isinstance(settings, FinalStage):
        tested = sum(trial.tested is not None for trial in state.trials_of(name))
        what = (
            f"trained its configurations with {_new_seeds(settings)} for {epochs} and evaluated "
            f"{counted(tested, 'network')} once on the test split{_test_items(plan, state, name)}"
        )
    else:
        described = ", ".join(
            f"{key} = {getattr(settings, key)}" for key in _METHODS if hasattr(settings, key)
        )
        what = f"trained each of its trials for {epochs}{', with ' if described else ''}{described}"
    undecided = undecided_in_words(name, state)
    return f"The stage {name} {what} ({ended}){'; ' if undecided else ''}{undecided}."


def _search_in_words(settings: SearchStage, schedule: TrainingSchedule) -> str:
    """Name searcher and scheduler; with a scheduler, only the best configurations get all their seeds."""
    stops = f"the scheduler {settings.scheduler}, which stops poor trials early"
    scheduler = stops if settings.first_stop(schedule) else "no scheduler"
    most = "at most " if settings.scheduler != "none" and settings.replicates > 1 else ""
    seeds = f"{most}{counted(settings.replicates, 'seed')}"
    return f"the searcher {settings.searcher}, {scheduler}, {seeds} per configuration"


def _judging_sentence(state: StudyState) -> str:
    """Say by which score the configurations are judged."""
    searched = state.ranked(SEARCH)
    if not any(each.expected for each in searched):
        return "A configuration is judged by its mean score over seeds on the validation split."
    judged = (
        f"The stage {SEARCH} judges a configuration by its expected score: the mean over seeds on the "
        "validation split that a model of all its trials predicts, with its 95 % interval."
    )
    others = "Other stages judge by the mean score over seeds on that split." if len(state.stages) > 1 else ""
    return " ".join(filter(None, (judged, noise_sentence(searched), others)))


def _test_items(plan: StudyPlan, state: StudyState, stage: str) -> str:
    items = [trial.test_items for trial in state.trials_of(stage) if trial.test_items is not None]
    return f" ({counted_items(items[-1], plan.task.unit)})" if items else ""


def _new_seeds(settings: FinalStage) -> str:
    if settings.seeds == "until decided":
        return f"new seeds each until the best one was decided (at most {settings.most_seeds})"
    return f"{settings.seeds} new seeds each"


def _data_sentence(plan: StudyPlan) -> str:
    valid = counted_items(plan.valid.items, f"validation {plan.task.unit}")
    size = f", {plan.train.items:,} training and {valid}" if plan.description.reads_data else ""
    return (
        f"We tuned the hyperparameters of the task {plan.study.task} on {plan.dataset}{size}, to maximise "
        f"{plan.score.full_label} on the validation split."
    )


def _sentence(found: Verdict) -> str:
    return f"The configuration {found.sentence}"


def _table(plan: StudyPlan, state: StudyState, found: Verdict) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: the best configurations of the deciding stage and what differs."""
    ranked = state.ranked(found.found.stage.stage, _TOP)
    names = _differing([by_symbol(each.parameters) for each in ranked]) or list(by_symbol(found.shown))
    has_test = any(trial.tested for each in ranked for trial in each.scored)
    has_expected = any(each.expected for each in ranked)
    label, metric = plan.score.label, plan.score.metric
    header = [
        "configuration",
        *names,
        *(["expected"] if has_expected else []),
        "seeds",
        f"{label}, validation",
        *([f"{label}, test"] if has_test else []),
    ]
    rows = []
    for each in ranked:
        parameters = by_symbol(each.parameters)
        rows.append(
            [
                each.name,
                *(value(parameters[name]) if name in parameters else "-" for name in names),
                *([expected_score(each)] if has_expected else []),
                str(len(each.scores)),
                _mean(each.scores),
                *([_test_mean(each, metric)] if has_test else []),
            ]
        )
    return header, rows


def _differing(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the hyperparameters that are not the same in all configurations."""
    names = dict.fromkeys(name for point in points for name in point)
    return [name for name in names if len({str(point.get(name)) for point in points}) > 1]


def _mean(scores: Sequence[float]) -> str:
    if not scores:
        return "-"
    return with_interval(fmean(scores), half_width(scores))


def _test_mean(configuration: Configuration, metric: str) -> str:
    """Return the mean on the test split, with its number of seeds if some were not tested yet."""
    tested = [trial.tested[metric] for trial in configuration.scored if trial.tested]
    some = 0 < len(tested) < len(configuration.scored)
    return _mean(tested) + (f" ({counted(len(tested), 'seed')})" if some else "")


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (header, *rows)]
    body = "\n".join([lines[0], r"\hline", *lines[1:]])
    return f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n{body}\n\\end{{tabular}}"


def _escaped(text: str) -> str:
    shown = text.encode(errors="backslashreplace").decode()
    escaped = "".join(_LATEX.get(character, character) for character in shown)
    return re.sub("-(?=-)", "-{}", escaped)  # LaTeX makes one dash of several
