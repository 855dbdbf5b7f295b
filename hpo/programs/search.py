"""A search: a searcher proposes points, each trained with one or more seeds."""

from collections.abc import Sequence
from statistics import fmean

from hpo.journal.results import TrialState, TrialStatus
from hpo.programs.program import Answer, Choice, Program, Proposal
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters


class SearchProgram(Program):
    """Asks ``searcher`` for ``points`` points; a point's score is the mean over its ``replicates`` trials."""

    def __init__(self, searcher: Searcher, *, points: int, replicates: int = 1) -> None:
        size = searcher.space.size()
        self._points = points if size is None else min(points, size)
        self._replicates = replicates
        self._searcher = searcher

    @property
    def planned(self) -> int:
        """Points times replicates."""
        return self._points * self._replicates

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Another seed of the last point, or a new point."""
        place, replicate = divmod(len(trials), self._replicates)
        if replicate:
            parameters: Parameters | None = dict(trials[place * self._replicates].parameters)
        elif place >= self._points:
            return Answer.DONE
        else:
            self._tell(trials)
            parameters = self._searcher.ask(_name(place))
        return Answer.DONE if parameters is None else Proposal(parameters=parameters, replicate=replicate)

    def is_done(self, trials: Sequence[TrialState]) -> bool:
        """Whether all points are there; asking the searcher would change it."""
        return len(trials) >= self.planned and all(trial.has_ended for trial in trials)

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """The point with the highest score, the earlier among equals.

        Points that were stopped early count only when no other has a score.
        """
        groups = self._groups(trials)
        whole = [group for group in groups if all(trial.status is not TrialStatus.STOPPED for trial in group)]
        return _best(whole) or _best(groups)

    def _tell(self, trials: Sequence[TrialState]) -> None:
        """Bring the searcher up to date; its answer depends on what is known, not on when it was told.

        A point that was stopped early has the score it reached: a lower bound of what it would have had, but
        close enough to say that the region is poor. A search that is told nothing would try there again.
        """
        for place, group in enumerate(self._groups(trials)):
            name = _name(place)
            if name not in self._searcher.trials:
                self._searcher.replay(name, dict(group[0].parameters))
            if len(group) < self._replicates or not all(trial.has_ended for trial in group):
                continue
            score = _score(group)
            if score is None:
                self._searcher.fail(name)
            else:
                self._searcher.tell(name, score)

    def _groups(self, trials: Sequence[TrialState]) -> list[Sequence[TrialState]]:
        return [trials[first : first + self._replicates] for first in range(0, len(trials), self._replicates)]


def _name(place: int) -> str:
    return f"point-{place + 1}"


def _best(groups: Sequence[Sequence[TrialState]]) -> Choice | None:
    best: Choice | None = None
    for group in groups:
        score = _score(group)
        if score is not None and (best is None or score > best.score):
            best = Choice(parameters=dict(group[0].parameters), role=group[0].trial, score=score)
    return best


def _score(group: Sequence[TrialState]) -> float | None:
    scores = [trial.score for trial in group if trial.score is not None]
    return fmean(scores) if scores else None
