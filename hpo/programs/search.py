"""Search stages: a searcher proposes points, each trained with one or more seeds."""

from collections.abc import Sequence
from statistics import fmean

from hpo.journal.results import TrialState
from hpo.programs.program import Answer, Choice, Program, Proposal, best_choice
from hpo.search.searcher import Gain, Searcher
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
        self._told = 0  # points at the beginning whose results the searcher has; they change no more

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

    def expected_gain(self, trials: Sequence[TrialState]) -> Gain | None:
        """Estimate what further points bring, before a new point, by the searcher's model."""
        place, replicate = divmod(len(trials), self._replicates)
        if replicate or place >= self._points:
            return None
        self._tell(trials)
        return self._searcher.expected_gain()

    def is_done(self, trials: Sequence[TrialState]) -> bool:
        """Return whether all points have been trained.

        This does not call ``next``, which would change the searcher.
        """
        return len(trials) >= self.planned and all(trial.has_ended for trial in trials)

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose the point with the highest score, the earlier of equal ones."""
        return best_choice(trials)

    def _tell(self, trials: Sequence[TrialState]) -> None:
        """Report all new results to the searcher.

        A point that was stopped early keeps the score it reached: a lower bound of its final score, but good
        enough to show that the region is poor. Without it, the searcher would try that region again.
        """
        all_before = True
        for place in range(self._told, -(-len(trials) // self._replicates)):
            group, name = trials[place * self._replicates : (place + 1) * self._replicates], _name(place)
            if name not in self._searcher.trials:
                self._searcher.replay(name, dict(group[0].parameters))
            if len(group) < self._replicates or not all(trial.has_ended for trial in group):
                all_before = False
                continue
            score = _score(group)
            if score is None:
                self._searcher.fail(name)
            else:
                self._searcher.tell(name, score)
            if all_before:
                self._told = place + 1


def _name(place: int) -> str:
    return f"point-{place + 1}"


def _score(group: Sequence[TrialState]) -> float | None:
    scores = [trial.score for trial in group if trial.score is not None]
    return fmean(scores) if scores else None
