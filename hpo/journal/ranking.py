"""Ranking of the configurations of a stage by their mean score over seeds."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from statistics import fmean, stdev

from hpo.journal.events import Value
from hpo.journal.trial_state import TrialState, TrialStatus

GRID = "grid"
"""Role of the trials that explore a grid; named configurations, trained with new seeds, rank before them."""
CONFIDENCE = 0.95
"""Level of the interval around the mean of a configuration."""

ConfigurationKey = tuple[object, ...]
_Key = tuple[str, ConfigurationKey]


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected score of a configuration, averaged over seeds, by a model of all trials."""

    mean: float
    """Expected value."""
    deviation: float
    """Standard deviation of the expectation."""
    noise: float | None = None
    """Standard deviation of the score between seeds, as the model has learnt it; None in older journals."""

    @property
    def half_width(self) -> float:
        """Half width of the 95 % interval."""
        return 1.96 * self.deviation


@dataclass(frozen=True, slots=True)
class Configuration:
    """Trials of a stage that have the same role and hyperparameters and differ in their seeds."""

    trials: "tuple[TrialState, ...]"
    """All trials in the order of proposal, including those that are running or have failed."""
    expected: Expected | None = None
    """Score that the model of a search that has ended expects; None without a model."""

    @property
    def name(self) -> str:
        """Role of its trials; the name of the first trial if they have none, as in a search."""
        first = self.trials[0]
        return first.trial if first.role in ("", GRID) else first.role

    @property
    def parameters(self) -> Mapping[str, Value]:
        """Hyperparameters that its trials share."""
        return self.trials[0].parameters

    @property
    def scored(self) -> "tuple[TrialState, ...]":
        """Trials whose scores count; see ``counted_trials``."""
        return tuple(counted_trials(self.trials))

    @property
    def scores(self) -> list[float]:
        """Scores of its seeds."""
        return [trial.score for trial in self.scored if trial.score is not None]

    @property
    def mean(self) -> float:
        """Mean score over its seeds."""
        return fmean(self.scores)

    @property
    def half_width(self) -> float | None:
        """Half width of the 95 % interval of the mean by Student's t; None for a single seed."""
        return half_width(self.scores)

    @property
    def best_trial(self) -> TrialState:
        """The trial with the highest score, the earlier of equal ones; its network represents the others."""
        return max(self.scored, key=lambda trial: trial.score or 0.0)

    @property
    def metrics(self) -> dict[str, float]:
        """Mean of each metric over the best validations of its seeds."""
        return mean_metrics([trial.metrics for trial in self.scored])

    @property
    def duration_s(self) -> float:
        """Seconds spent on all its seeds with a score."""
        return sum(trial.duration_s or 0.0 for trial in self.trials if has_score(trial))

    @property
    def stopped(self) -> "tuple[TrialState, ...]":
        """Trials with a score that were stopped early."""
        scored = (trial for trial in self.trials if has_score(trial))
        return tuple(trial for trial in scored if trial.status is TrialStatus.STOPPED)


class Ranking:
    """Configurations of one stage, best first; it stays in order while trials end.

    The mean over seeds decides, earlier configurations come first among equal ones. Means over fewer seeds
    come later, because a single lucky seed would win: a point of a search or grid that lacks seeds of others,
    and a named configuration with a failed seed. A named configuration with fewer trials than others was
    dropped as worse, and comes after them whatever its mean; until the stage ends, one trial less may mean
    that it is about to be proposed, and means over the seeds that all of them have decide. Named
    configurations come before the points of a grid, whose comparison they are. A configuration whose seeds
    were all stopped early has their scores, those of their best networks so far.

    A search that has ended may have a model of all its trials. The score that it expects then comes before
    the mean, because the highest mean of many is partly luck.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}
        self._order: list[_Entry] = []
        """Configurations that have a score, by rank."""
        self._expected: dict[_Entry, Expected] = {}
        """Highest first."""
        self._has_ended = False

    def add(self, trial: TrialState) -> None:
        """Add a trial in any state."""
        key = _key(trial)
        if key not in self._entries:
            self._entries[key] = _Entry(trial.role, len(self._entries))
        self._entries[key].trials.append(trial)
        self.update(trial)

    def update(self, trial: TrialState) -> None:
        """Rank the configuration of a trial anew, after a change of the trial."""
        entry = self._entries[_key(trial)]
        if entry.rank:
            del self._order[bisect_left(self._order, entry.rank, key=_rank_of)]
        entry.rank = entry.new_rank()
        if entry.rank:
            insort(self._order, entry, key=_rank_of)

    def best(self, count: int | None = None) -> list[Configuration]:
        """Return the ``count`` best configurations that have a score; None: all."""
        others = (entry for entry in self._by_rank() if entry not in self._expected)
        return [self._configuration(entry) for entry in islice(chain(self._expected, others), count)]

    def of(self, trial: TrialState) -> Configuration:
        """Return the configuration of a trial."""
        return self._configuration(self._entries[_key(trial)])

    def end(self, expected: "Sequence[tuple[TrialState, Expected]]" = ()) -> None:
        """Record that the stage has ended, and rank the configurations of these trials first.

        Args:
            expected: Trials with the scores that a model expects, highest first; empty without a model.
        """
        self._has_ended = True
        self._expected = {self._entries[_key(trial)]: score for trial, score in expected}

    def reopen(self) -> None:
        """Record that the stage gets more trials; the mean decides again."""
        self._has_ended, self._expected = False, {}

    def _by_rank(self) -> Iterator["_Entry"]:
        named = list(takewhile(lambda entry: entry.is_named, self._order))
        enough = max((len(entry.trials) for entry in named), default=0)
        if not self._has_ended:
            enough -= 1
            _sort_by_common_seeds(named, enough)
        named.sort(key=lambda entry: -min(len(entry.trials), enough))
        return chain(named, islice(self._order, len(named), None))

    def _configuration(self, entry: "_Entry") -> Configuration:
        return Configuration(tuple(entry.trials), self._expected.get(entry))


@dataclass(slots=True, eq=False)
class _Entry:
    """A configuration of a stage and its rank."""

    role: str
    place: int
    """Number of configurations that were proposed before."""
    trials: list[TrialState] = field(default_factory=list)
    rank: tuple[float, ...] = ()
    """The best configuration has the lowest; empty without a score."""

    @property
    def is_named(self) -> bool:
        """Whether the configuration has a role of its own."""
        return self.role not in ("", GRID)

    @property
    def has_failed(self) -> bool:
        """Whether it is named and a trial of it ended without a score."""
        return self.is_named and any(trial.has_ended and not has_score(trial) for trial in self.trials)

    def new_rank(self) -> tuple[float, ...]:
        """Return its rank by the present scores; empty without a score."""
        scores = [trial.score for trial in counted_trials(self.trials) if trial.score is not None]
        if not scores:
            return ()
        seeds = 0 if self.is_named else -len(scores)
        return self.role == GRID, self.has_failed, seeds, -fmean(scores), self.place


def _sort_by_common_seeds(named: list[_Entry], enough: int) -> None:
    """Sort configurations by their means over the seeds of all those that have ``enough`` trials.

    A further seed that only some of them have may be harder or easier than the others.
    """
    scores = {
        entry: {trial.replicate: trial.score or 0.0 for trial in counted_trials(entry.trials)}
        for entry in named
    }
    compared = [set(scores[entry]) for entry in named if len(entry.trials) >= enough and not entry.has_failed]
    common = set.intersection(*compared) if compared else set()

    def rank(entry: _Entry) -> tuple[bool, float]:
        shared = [score for seed, score in scores[entry].items() if seed in common]
        return entry.has_failed, -fmean(shared or scores[entry].values())

    named.sort(key=rank)


def ranked(trials: "Iterable[TrialState]") -> list[Configuration]:
    """Return the configurations of the trials of a stage that has ended, best first; see ``Ranking``."""
    ranking = Ranking()
    for trial in trials:
        ranking.add(trial)
    ranking.end()
    return ranking.best()


def mean_metrics(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the validations that have it."""
    names = dict.fromkeys(name for metrics in found for name in metrics)
    return {name: fmean(metrics[name] for metrics in found if name in metrics) for name in names}


def half_width(scores: Sequence[float], *, confidence: float = CONFIDENCE) -> float | None:
    """Return the half width of the interval of a mean by Student's t; None for a single score."""
    if len(scores) < 2:
        return None
    from scipy.special import stdtrit  # only for several seeds: the import takes a moment

    quantile = float(stdtrit(len(scores) - 1, (1 + confidence) / 2))
    return quantile * stdev(scores) / math.sqrt(len(scores))


def has_score(trial: TrialState) -> bool:
    """Return whether a trial has a finite score."""
    return trial.score is not None and math.isfinite(trial.score)


def counted_trials(trials: "Sequence[TrialState]") -> "list[TrialState]":
    """Return the trials of a configuration whose scores count: the whole ones, or else those stopped early.

    A seed that was stopped early has the score of an earlier epoch, which says nothing against a whole one.
    """
    scored = [trial for trial in trials if has_score(trial)]
    return [trial for trial in scored if trial.status is not TrialStatus.STOPPED] or scored


def counted_by_configuration(trials: "Iterable[TrialState]") -> "list[TrialState]":
    """Return the trials whose scores count, configuration by configuration; see ``counted_trials``."""
    configurations: dict[_Key, list[TrialState]] = {}
    for trial in trials:
        configurations.setdefault(_key(trial), []).append(trial)
    return [trial for seeds in configurations.values() for trial in counted_trials(seeds)]


def configuration_key(parameters: Mapping[str, object]) -> ConfigurationKey:
    """Return a dictionary key that is equal for equal hyperparameters."""
    return tuple(chain.from_iterable(sorted(parameters.items())))


def _key(trial: TrialState) -> _Key:
    return trial.role, configuration_key(trial.parameters)


def _rank_of(entry: _Entry) -> tuple[float, ...]:
    return entry.rank
