"""Search stages: a searcher proposes points, each trained with one or more seeds."""

from collections.abc import Sequence
from statistics import fmean

from hpo.journal.ranking import ConfigurationKey, Expected, configuration_key, counted_trials, ranked
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.programs.estimates import curve_of, is_whole
from hpo.programs.program import Answer, Choice, Program, Proposal, best_choice
from hpo.search.expected import expected_scores
from hpo.search.fidelities import SeedCurve
from hpo.search.searcher import NOISE, Gain, Searcher


class SearchProgram(Program):
    """Trains points that a searcher proposes; the score of a point is the average over its seeds.

    Args:
        searcher: Proposes the points; it has proposed none yet.
        points: Maximum number of points.
        replicates: Maximum number of seeds per point.
        metric: Name of the metric that is the score.
        race: Share of the points that get another seed, as 1 in ``race``: the best of those that were trained
            to the end with as many seeds. None: every point gets all its seeds at once.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        points: int,
        replicates: int = 1,
        metric: str,
        race: float | None = None,
    ) -> None:
        free = searcher.free_count
        self._points = points if free is None else min(points, free)
        self._replicates, self._race = replicates, race
        self._searcher = searcher
        self._places: dict[ConfigurationKey, int] = {}
        self._groups: list[list[int]] = []
        """Indices of the trials of each point."""
        self._grouped = 0
        self._open: dict[int, None] = {}
        """Points whose results the searcher does not have yet, in the order of proposal."""
        self._metric = metric

    @property
    def planned(self) -> int:
        """Maximum number of trials: points times seeds."""
        return self._points * self._replicates

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return another seed of a point, or a new point."""
        self._group(trials)
        again = self._another_seed(trials)
        if again is not None:
            group = self._groups[again]
            return Proposal(parameters=dict(trials[group[0]].parameters), replicate=len(group))
        if len(self._groups) >= self._points:
            return self._end(trials)
        self._inform(trials)
        parameters = self._searcher.ask(_name(len(self._groups)))
        if parameters is None:
            self._points = len(self._groups)
            return self._end(trials)
        return Proposal(parameters=parameters)

    def expected_gain(self, trials: Sequence[TrialState]) -> Gain | None:
        """Estimate what further points bring, before a new point, by the searcher's model."""
        self._group(trials)
        if self._another_seed(trials) is not None or len(self._groups) >= self._points:
            return None
        self._inform(trials)
        return self._searcher.expected_gain()

    def is_done(self, trials: Sequence[TrialState]) -> bool:
        """Return whether all points have been trained.

        This does not call ``next``, which would change the searcher.
        """
        self._group(trials)
        all_asked = len(self._groups) >= self._points
        return all_asked and all(trial.has_ended for trial in trials) and self._another_seed(trials) is None

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose the point with the highest expected score, by a model of all trials.

        A score of a single seed is partly luck, and the best of many scores mostly is. Only points that were
        trained to the end can be chosen. With few points, the highest mean over seeds decides.
        """
        self._group(trials)
        self._tell(trials)
        self._show_curves(trials)
        expected = self._expected(trials)
        if not expected:
            return best_choice(trials)
        place = next(iter(expected))
        scored = ranked(trials[index] for index in self._groups[place])[0]
        return Choice(
            parameters=dict(scored.parameters),
            role=scored.name,
            score=scored.mean,
            best_trial=scored.best_trial.trial,
            expected={trials[self._groups[each][0]].trial: value for each, value in expected.items()},
        )

    def _expected(self, trials: Sequence[TrialState]) -> dict[int, Expected]:
        """Return the expected score of each point that was trained to the end, highest first."""
        whole = [
            place
            for place, group in enumerate(self._groups)
            if any(is_whole(trials[index]) and trials[index].score is not None for index in group)
        ]
        asked = [self._searcher.trials[_name(place)] for place in whole]
        observed, related = self._searcher.observed, self._searcher.related
        found = expected_scores(observed, asked, noise=NOISE, related=related) if asked else []
        pairs = sorted(zip(whole, found, strict=False), key=lambda pair: -pair[1].mean)
        return dict(pairs)

    def _end(self, trials: Sequence[TrialState]) -> Answer:
        """Return what follows when there are no new points: in a race, results may call for more seeds."""
        waits = self._race is not None and not all(trial.has_ended for trial in trials)
        return Answer.WAIT if waits else Answer.DONE

    def _group(self, trials: Sequence[TrialState]) -> None:
        for index in range(self._grouped, len(trials)):
            key = configuration_key(trials[index].parameters)
            if key not in self._places:
                self._places[key] = len(self._groups)
                self._groups.append([])
            self._groups[self._places[key]].append(index)
            self._open[self._places[key]] = None
        self._grouped = len(trials)

    def _another_seed(self, trials: Sequence[TrialState]) -> int | None:
        """Return the place of the point that is to be trained with another seed; None if there is none."""
        if self._race is None:
            latest = len(self._groups) - 1
            return latest if self._lacks_seeds(latest) else None
        for seeds in range(self._replicates - 1, 0, -1):
            reached = {
                place: fmean(trials[index].score or 0.0 for index in group[:seeds])
                for place, group in enumerate(self._groups)
                if len(group) >= seeds and all(is_whole(trials[index]) for index in group[:seeds])
            }
            best = sorted(reached, key=lambda place: (-reached[place], place))
            for place in best[: int(len(best) / self._race)]:
                if len(self._groups[place]) == seeds:
                    return place
        return None

    def _lacks_seeds(self, place: int) -> bool:
        """Return whether a point gets further seeds whatever its score is.

        This is the latest point of a search without a race. Earlier ones may have few seeds from a race.
        """
        is_latest = 0 <= place == len(self._groups) - 1
        return self._race is None and is_latest and len(self._groups[place]) < self._replicates

    def _inform(self, trials: Sequence[TrialState]) -> None:
        """Give the searcher what it learns from."""
        self._tell(trials)
        if self._searcher.learns_from_curves:
            self._show_curves(trials)

    def _tell(self, trials: Sequence[TrialState]) -> None:
        """Report new results to the searcher.

        A point that was stopped early keeps the score it reached: a lower bound of its final score, but good
        enough to show that the region is poor. Without it, the searcher would try that region again. A point
        that was stopped before its first validation shows nothing. In a race, a point that is trained with a
        further seed keeps the score of those that have ended: its best points are trained so, and a search
        that resumes must see them too.
        """
        for place in list(self._open):
            name, seeds = _name(place), [trials[index] for index in self._groups[place]]
            if name not in self._searcher.trials:
                self._searcher.replay(name, dict(seeds[0].parameters))
            scores = [trial.score for trial in counted_trials(seeds) if trial.score is not None]
            have_ended = all(trial.has_ended for trial in seeds) and not self._lacks_seeds(place)
            if not have_ended and (self._race is None or not scores):
                continue
            if scores:
                self._searcher.tell(name, fmean(scores))
            elif any(trial.status is TrialStatus.FAILED or trial.score is not None for trial in seeds):
                self._searcher.fail(name)
            else:
                self._searcher.abandon(name)
            if have_ended:
                del self._open[place]

    def _show_curves(self, trials: Sequence[TrialState]) -> None:
        """Show the searcher what each seed tells, also of the trials that are running or were stopped."""
        for place, group in enumerate(self._groups):
            curves = [self._curve(trials[index]) for index in group]
            self._searcher.record_curves(_name(place), [curve for curve in curves if curve is not None])

    def _curve(self, trial: TrialState) -> SeedCurve | None:
        """Return what a trial tells; None if it failed or has not been validated."""
        if trial.status is TrialStatus.FAILED or not (trial.reports or is_whole(trial)):
            return None
        return SeedCurve(
            curve_of(trial, self._metric),
            end=trial.score if is_whole(trial) else None,
            is_stopped=trial.status is TrialStatus.STOPPED,
        )


def _name(place: int) -> str:
    return f"point-{place + 1}"
