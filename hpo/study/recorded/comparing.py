"""Comparison of two studies, or of two trials, in the runs folder."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hpo.config.differences import leaves
from hpo.config.environment import Environment
from hpo.config.stages import SEARCH
from hpo.journal.journal import writer_of
from hpo.journal.paired import paired_difference
from hpo.journal.ranking import GRID, counted_by_configuration, mean_metrics
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.report.comparison import SPLITS, Cell, Comparison, Pair, PairedRow
from hpo.space.space import Parameters
from hpo.space.symbols import symbol
from hpo.study.devices import choose_device
from hpo.study.folders import chosen_study
from hpo.study.plan import StudyPlan, plan_of, reopen_data
from hpo.study.reopening import placed
from hpo.tasks.base.found import best_of_stage, found_configuration
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import Progress
from hpo.tasks.base.versions import SHOWN_DIGITS
from hpo.trial.files import BEST, trial_folder
from model.errors import ConfigError, UserError

_PLACES = ("data", "train.path", "valid.path")
"""Entries of a plan that are locations, which change no result."""

Scored = Callable[[TrialState], float | None]
"""Function that returns the score of a trial on the compared split, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Study with the trial that represents it, or a trial, on one side of a comparison."""

    name: str
    folder: Path
    state: StudyState
    plan: StudyPlan
    trial: TrialState
    """The trial, or the trial that represents the study's configuration."""
    seeds: tuple[TrialState, ...]
    """The trial, or all trials with a score of the study's configuration."""
    configuration: Parameters
    """Values of all hyperparameters."""
    is_study: bool

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics on the validation split, means over the seeds."""
        return mean_metrics([trial.metrics for trial in self.seeds])

    @property
    def tested(self) -> dict[str, float]:
        """Metrics on the test split, means over the seeds; empty before the test split was opened."""
        return mean_metrics([trial.tested for trial in self.seeds if trial.tested])


def compare_named(a: str, b: str, split: str, environment: Environment, progress: Progress) -> Comparison:
    """Compare two studies, or two trials named ``STUDY/TRIAL``.

    Raises:
        UserError: A split, study or trial does not exist, or one is a study and the other a trial.
    """
    if split not in ("valid", "test"):
        raise ConfigError(f"expected --split valid or test, got {split!r}")
    first, second = _open(a, environment), _open(b, environment)
    if first.is_study != second.is_study:
        raise UserError(
            f"{a!r} and {b!r} are a study and a trial", fix="name two studies, or two trials as STUDY/TRIAL"
        )
    remarks = _reasons_against_comparing(first, second)
    rows: list[PairedRow] = []
    networks = None
    if first.is_study:
        rows = list(_paired_rows(first, second, split, claims=not remarks))
        remarks += _remarks_on(rows, split)
    elif not remarks:
        networks, reason = _on_same_items(first, second, split, environment, progress)
        remarks += [reason] if reason else []
    return Comparison(
        names=(a, b),
        split=split,
        settings=_differing(_settings(first), _settings(second)),
        scores=_scores(first, second, split),
        parameters=_parameters(first, second),
        paired=rows,
        networks=networks,
        unit=first.plan.task.unit,
        remarks=remarks,
    )


def _open(name: str, environment: Environment) -> Side:
    study, separator, trial_name = name.partition("/")
    folder = chosen_study(environment, study)
    state = stored_state(folder)
    plan = plan_of(folder, state.created)
    if separator:
        trial = _named_trial(state, study, trial_name, is_running=writer_of(folder) is not None)
        seeds: tuple[TrialState, ...] = (trial,)
        parameters = trial.parameters
    elif found := found_configuration(state):
        trial, seeds, parameters = found.trial, found.configuration.scored, found.parameters
    else:
        raise UserError(f"study {study!r} has no finished trial yet")
    return Side(
        name=name,
        folder=folder,
        state=state,
        plan=plan,
        trial=trial,
        seeds=seeds,
        configuration={**plan.own_configuration(), **parameters},
        is_study=not separator,
    )


def _named_trial(state: StudyState, study: str, name: str, *, is_running: bool) -> TrialState:
    if name not in state.trials:
        raise UserError(f"study {study!r} has no trial {name!r}", known=state.names_of_trials())
    trial = state.trials[name]
    if trial.score is None:
        reason = f": {trial.reason}" if trial.reason else ""
        status = trial.status_in_words(is_running=is_running)
        raise UserError(f"trial {study}/{name} has no score: it is {status}{reason}")
    return trial


def _reasons_against_comparing(first: Side, second: Side) -> list[str]:
    """Return the reasons why a difference of the scores would be meaningless."""
    reasons = {
        "different data": (first.plan.data_digest, second.plan.data_digest),
        "different tasks": (first.plan.study.task, second.plan.study.task),
        "different scoring": (first.plan.scoring, second.plan.scoring),
        "different means over the classes": (first.plan.score.metric, second.plan.score.metric),
    }
    return [
        f"scores cannot be compared, only shown side by side: {reason}"
        for reason, (ours, theirs) in reasons.items()
        if ours != theirs
    ]


def _settings(side: Side) -> dict[str, Cell]:
    """Return all settings of a study, or of a trial's stage, by name."""
    created, asked = side.state.created, side.state.asked
    plan = {**created.plan, "study": {**created.plan["study"]}}
    stages = {name: event.settings for name, event in asked.items()}
    plan["study"]["stages"] = stages if side.is_study else {"": stages.get(side.trial.stage, {})}
    settings = {name: _cell(entry) for name, entry in leaves(plan) if name not in _PLACES}
    settings["data_digest"] = _short(created.data_digest)
    settings["code_digest"] = _short(created.code_digest)
    settings |= {f"version of {name}": version for name, version in created.versions.items()}
    if not side.is_study:
        trial = side.trial
        settings |= {"stage": trial.stage, "role": trial.role, "seed": trial.seed}
    return settings


def _differing(ours: Mapping[str, Cell], theirs: Mapping[str, Cell]) -> dict[str, Pair]:
    return {
        name.removeprefix("study.").replace("..", "."): (ours.get(name), theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    }


def _cell(entry: Any) -> Cell:
    return ", ".join(map(str, entry)) if isinstance(entry, list) else entry


def _scores(first: Side, second: Side, split: str) -> dict[str, Pair]:
    """Return score and AP per class on the compared split, and below validation on an opened test split."""
    sides, rows = (first, second), dict[str, Pair]()
    validated, tested = (first.metrics, second.metrics), (first.tested, second.tested)
    shown = [("test ", tested)] if split == "test" or any(tested) else []
    if split == "valid":
        shown.insert(0, ("", validated))
    for prefix, found in shown:
        each = _rows(sides, found)
        rows |= {f"{prefix}{name}": (found[0].get(key), found[1].get(key)) for name, key in each.items()}
    return rows


def _rows(sides: tuple[Side, Side], found: tuple[Mapping[str, float], Mapping[str, float]]) -> dict[str, str]:
    """Return heading -> metric; both means over the classes if a class has no actions in a split."""
    means: dict[str, Score] = {}
    for side, metrics in zip(sides, found, strict=True):
        score = side.plan.score
        for mean in (score, score.other_mean(metrics, side.plan.shape.classes)):
            if mean is not None:
                means.setdefault(mean.metric, mean)
    rows = {mean.full_label if len(means) > 1 else mean.label: metric for metric, mean in means.items()}
    for name in dict.fromkeys(name for side in sides for name in side.plan.shape.classes):
        if len(means) > 1 or any(f"ap/{name}" in metrics for metrics in found):
            rows[f"AP {name}"] = f"ap/{name}"
    return rows


def _parameters(first: Side, second: Side) -> dict[str, Pair]:
    """Return best epoch and hyperparameters; slicing parameters only if they differ."""
    ours, theirs = first.configuration, second.configuration
    rows: dict[str, Pair] = {"epoch": (first.trial.best_epoch, second.trial.best_epoch)}
    if first.is_study:
        rows = {
            "best trial": (first.trial.trial, second.trial.trial),
            "seeds": (len(first.seeds), len(second.seeds)),
            **rows,
        }
    for name in dict.fromkeys([*ours, *theirs]):
        pair = (ours.get(name), theirs.get(name))
        if "." not in name or pair[0] != pair[1]:
            rows[symbol(name)] = pair
    return rows


def _paired_rows(first: Side, second: Side, split: str, *, claims: bool) -> Iterator[PairedRow]:
    """Yield the configurations that both studies trained under one name, and the best, stage by stage."""
    scored = partial(_score, split=split, metric=first.plan.score.metric)
    for stage in first.state.stages:
        if stage not in second.state.stages:
            continue
        ours, theirs = _by_role(first.state, stage, scored), _by_role(second.state, stage, scored)
        for role in (role for role in ours if role in theirs):
            yield _paired_row(stage, role, ours[role], theirs[role], scored, claims=claims)
        if stage == SEARCH:
            continue
        our_best, their_best = (_best_of(side.state, stage, scored) for side in (first, second))
        is_shown = any((ours[role], theirs.get(role)) == (our_best, their_best) for role in ours)
        if our_best and their_best and not is_shown:
            yield _paired_row(stage, "best of each", our_best, their_best, scored, claims=claims)


def _best_of(state: StudyState, stage: str, scored: Scored) -> list[TrialState]:
    """Return the trials of the best configuration of a stage whose scores count; none without a score."""
    best = best_of_stage(state, stage)
    return [trial for trial in best.configuration.scored if scored(trial) is not None] if best else []


def _by_role(state: StudyState, stage: str, scored: Scored) -> dict[str, list[TrialState]]:
    """Return trials whose scores count by the name of their configuration; for a search, of the best one."""
    counted = counted_by_configuration(state.trials_of(stage))
    trials = [trial for trial in counted if scored(trial) is not None]
    if stage == SEARCH:
        best = best_of_stage(state, stage)
        same = [trial for trial in trials if best and trial.parameters == best.configuration.parameters]
        return {"best found": same} if same else {}
    roles: dict[str, list[TrialState]] = {}
    for trial in trials:
        # A configuration called as a trial is another one in every study.
        if trial.role != GRID and trial.role not in state.trials:
            roles.setdefault(trial.role, []).append(trial)
    return roles


def _paired_row(
    stage: str,
    role: str,
    ours: list[TrialState],
    theirs: list[TrialState],
    scored: Scored,
    *,
    claims: bool,
) -> PairedRow:
    # By seed, not by replicate: studies may start from different seeds.
    columns = [{trial.seed: scored(trial) or 0.0 for trial in side} for side in (ours, theirs)]
    common = columns[0].keys() & columns[1].keys()
    means = [fmean(column[seed] for seed in common or column) for column in columns]
    return PairedRow(
        stage=stage,
        configuration=role,
        same_parameters=dict(ours[0].parameters) == dict(theirs[0].parameters),
        seeds=len(common),
        means=(means[0], means[1]),
        difference=paired_difference(*columns) if claims else None,
    )


def _score(trial: TrialState, split: str, metric: str) -> float | None:
    if split == "valid":
        return trial.score
    return None if trial.tested is None else trial.tested.get(metric)


def _remarks_on(rows: list[PairedRow], split: str) -> list[str]:
    if not rows:
        return [f"no configuration of both studies has a score on the {SPLITS[split]} split"]
    remarks = []
    if any(row.difference is not None and row.seeds == 1 for row in rows):
        remarks.append("one common seed gives no interval: train several seeds in both studies")
    if any(row.seeds == 0 for row in rows):
        remarks.append("no paired difference where the studies have no common seed")
    return remarks


def _on_same_items(
    first: Side, second: Side, split: str, environment: Environment, progress: Progress
) -> tuple[NetworkDifference | None, str | None]:
    """Return the difference of both networks on the same items, or the reason why there is none."""
    unit = first.plan.task.unit
    if split == "test" and (first.trial.tested is None or second.trial.tested is None):
        return (
            None,
            f"not compared on the same {unit}: only trials of a final are scored on the test split",
        )
    files = tuple(trial_folder(side.folder, side.trial.trial) / BEST for side in (first, second))
    try:
        plan = placed(first.plan, first.plan.data, first.folder.name)
        return _compare_networks(plan, (files[0], files[1]), split, environment, progress), None
    except UserError as error:
        fix = f"; {error.details['fix']}" if "fix" in error.details else ""
        return None, f"not compared on the same {unit}: {error.message}{fix}"


def _compare_networks(
    plan: StudyPlan, networks: tuple[Path, Path], split: str, environment: Environment, progress: Progress
) -> NetworkDifference:
    today = reopen_data(plan, environment, progress)
    if today.data_digest != plan.data_digest:
        raise UserError(f"the data in {plan.data} have changed since the training")
    task, device = plan.task, torch.device(choose_device("auto"))
    if split == "test":
        items = task.open_test(today.data_request(environment.cache), progress)
    else:
        items = task.open_split(today.valid)
    return task.compare_networks(networks, items, plan.shared(), plan.score, device, progress)


def _short(digest: str) -> str:
    return "+".join(part[:SHOWN_DIGITS] for part in digest.split("+"))
