"""Search stages: a searcher proposes points, each trained with one or more seeds."""

from collections.abc import Sequence
from statistics import fmean

from hpo.journal.results import TrialState, TrialStatus
from hpo.programs.program import Answer, Choice, Program, Proposal
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters


class SearchProgram(Program):
    """Trains points that a searcher proposes; the score of a point is the average over its seeds.

    Args:
        searcher: Proposes the points.
        points: Maximum number of points.
        replicates: Seeds per point.
    """

    def __init__(self, searcher: Searcher, *, points: int, replicates: int = 1) -> None:
        size = searcher.space.size()
        self._points = points if size is None else min(points, size)
        self._replicates = replicates
        self._searcher = searcher

    @property
    def planned(self) -> int:
        """Maximum number of trials: points times seeds."""
        return self._points * self._replicates

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return another seed of the last point, or a new point."""
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
        """Return whether all points have been trained.

        This does not call ``next``, which would change the searcher.
        """
        return len(trials) >= self.planned and all(trial.has_ended for trial in trials)

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose the point with the highest score, the earlier of equal ones.

        Points that were stopped early are considered only if no other point has a score.
        """
        groups = self._groups(trials)
        whole = [group for group in groups if all(trial.status is not TrialStatus.STOPPED for trial in group)]
        return _best(whole) or _best(groups)

    def _tell(self, trials: Sequence[TrialState]) -> None:
        """Report all new results to the searcher.

        A point that was stopped early keeps the score it reached: a lower bound of its final score, but good
        enough to show that the region is poor. Without it, the searcher would try that region again.
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
