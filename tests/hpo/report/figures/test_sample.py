from itertools import pairwise

from shown_stages import trial, view

from hpo.report.figures.history import history_figure
from hpo.report.figures.sample import drawn_note, drawn_trials
from hpo.report.figures.search_space import search_space_figures


def test_few_trials_are_all_drawn() -> None:
    trials = [trial(number, 0.1) for number in range(1, 10)]
    assert drawn_trials(trials, 9) == trials
    assert drawn_note(9, 9) == ""


def test_of_many_trials_the_best_and_others_evenly_spaced_are_drawn_in_their_order() -> None:
    trials = [trial(number, None if number % 10 == 0 else number % 7 / 10) for number in range(1, 1001)]
    drawn = drawn_trials(trials, 90)
    numbers = [int(each.trial[1:]) for each in drawn]
    assert len(drawn) == 90 and numbers == sorted(numbers)
    assert sum(each.score == 0.6 for each in drawn) >= 30
    assert max(later - number for number, later in pairwise(numbers)) < 40
    assert drawn_note(90, 1000).startswith(" 90 of 1,000 trials are drawn")


def test_figures_of_thousands_of_trials_stay_small_and_say_so() -> None:
    trials = [
        trial(
            number, (number % 97) / 100, parameters={"f": 4 + number % 29, "lambda_seg": 0.1 + number / 400}
        )
        for number in range(1, 3001)
    ]
    stage = view("bayes", trials)
    history = history_figure(stage)
    assert history is not None and "2,000 of 3,000 trials" in history.caption
    assert sum(len(trace.x) for trace in history.interactive.data) < 2200
    for figure in search_space_figures(stage):
        assert "300 of 3,000 trials" in figure.caption
