"""Ranking of the configurations of a stage by their mean score over seeds."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from statistics import fmean, stdev

from hpo.journal.events import Value
from hpo.journal.trial_state import TrialState, TrialStatus

GRID = "grid"
"""Role of the trials that explore a grid; named configurations, trained with new seeds, rank before them."""
CONFIDENCE = 0.95
"""Level of the interval around the mean of a configuration."""

ConfigurationKey = tuple[tuple[str, object], ...]
_Key = tuple[str, ConfigurationKey]
_Rank = tuple[bool, bool, int, float, int]


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected score of a configuration, averaged over seeds, by a model of all trials."""

    mean: float
    """Expected value."""
    deviation: float
    """Standard deviation of the expectation."""

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
        self._trials: dict[_Key, list[TrialState]] = {}
        self._ranks: dict[_Key, _Rank] = {}
        self._order: list[tuple[_Rank, _Key]] = []
        self._places: dict[_Key, int] = {}
        self._expected: dict[_Key, Expected] = {}
        """Highest first."""
        self._has_ended = False

    def add(self, trial: TrialState) -> None:
        """Add a trial in any state."""
        key = _key(trial)
        self._trials.setdefault(key, []).append(trial)
        self._places.setdefault(key, len(self._places))
        self.update(trial)

    def update(self, trial: TrialState) -> None:
        """Rank the configuration of a trial anew, after a change of the trial."""
        key = _key(trial)
        if key in self._ranks:
            del self._order[bisect_left(self._order, self._ranks.pop(key), key=_rank_of)]
        trials = self._trials[key]
        scores = [each.score for each in counted_trials(trials) if each.score is not None]
        if not scores:
            return
        named = _is_named(key)
        failed = named and any(each.has_ended and not has_score(each) for each in trials)
        rank = (trial.role == GRID, failed, 0 if named else -len(scores), -fmean(scores), self._places[key])
        self._ranks[key] = rank
        insort(self._order, (rank, key), key=_rank_of)

    def best(self, count: int | None = None) -> list[Configuration]:
        """Return the ``count`` best configurations that have a score; None: all."""
        others = (key for key in self._by_rank() if key not in self._expected)
        return [self._configuration(key) for key in islice(chain(self._expected, others), count)]

    def of(self, trial: TrialState) -> Configuration:
        """Return the configuration of a trial."""
        return self._configuration(_key(trial))

    def end(self, expected: "Sequence[tuple[TrialState, Expected]]" = ()) -> None:
        """Record that the stage has ended, and rank the configurations of these trials first.

        Args:
            expected: Trials with the scores that a model expects, highest first; empty without a model.
        """
        self._has_ended = True
        self._expected = {_key(trial): score for trial, score in expected}

    def reopen(self) -> None:
        """Record that the stage gets more trials; the mean decides again."""
        self._has_ended, self._expected = False, {}

    def _by_rank(self) -> Iterator[_Key]:
        named = [key for _, key in takewhile(lambda entry: _is_named(entry[1]), self._order)]
        enough = max((len(self._trials[key]) for key in named), default=0)
        if not self._has_ended:
            enough -= 1
            self._sort_by_common_seeds(named, enough)
        named.sort(key=lambda key: -min(len(self._trials[key]), enough))
        return chain(named, (key for _, key in islice(self._order, len(named), None)))

    def _sort_by_common_seeds(self, named: list[_Key], enough: int) -> None:
        """Sort configurations by their means over the seeds of all those that have ``enough`` trials.

        A further seed that only some of them have may be harder or easier than the others.
        """
        scores = {
            key: {each.replicate: each.score or 0.0 for each in counted_trials(self._trials[key])}
            for key in named
        }
        failed = {key: self._ranks[key][1] for key in named}
        compared = [set(scores[key]) for key in named if len(self._trials[key]) >= enough and not failed[key]]
        common = set.intersection(*compared) if compared else set()

        def rank(key: _Key) -> tuple[bool, float]:
            shared = [score for seed, score in scores[key].items() if seed in common]
            return failed[key], -fmean(shared or scores[key].values())

        named.sort(key=rank)

    def _configuration(self, key: _Key) -> Configuration:
        return Configuration(tuple(self._trials[key]), self._expected.get(key))


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


def configuration_key(parameters: Mapping[str, object]) -> ConfigurationKey:
    """Return a dictionary key that is equal for equal hyperparameters."""
    return tuple(sorted(parameters.items()))


def _key(trial: TrialState) -> _Key:
    return trial.role, configuration_key(trial.parameters)


def _is_named(key: _Key) -> bool:
    return key[0] not in ("", GRID)


def _rank_of(entry: tuple[_Rank, _Key]) -> _Rank:
    return entry[0]
