import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shown_stages import trial, view

from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.figures import draw, style
from hpo.report.figures.draw import draw_stage
from hpo.report.figures.history import history_figure
from hpo.report.figures.importance import importance_figure
from hpo.report.figures.labels import shortened, wrapped
from hpo.report.figures.search_space import search_space_figures
from hpo.report.figures.seeds import seeds_figure
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Space
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView
from hpo.tasks.calf.presentation.grid_figure import grid_figure
from hpo.tasks.calf.presentation.sweep_figures import lambda_figure, sensitivity_figure
from hpo.tasks.calf.task import TASK


def traces(figure: StageFigure | None) -> dict[str, Any]:
    assert figure is not None
    return {trace.name: trace for trace in figure.interactive.data}


def zoned(number: int, score: float, k3: float, *, role: str = "grid") -> TrialState:
    zones = {
        f"K{k}_frames.{name}": value
        for name in ("goal", "card")
        for k, value in enumerate((-40.0, -20.0, k3, 40.0), 1)
    }
    return trial(number, score, role=role, parameters=zones)


def test_best_so_far_never_falls_and_leaves_failed_trials_out() -> None:
    stopped = trial(3, 0.9, status=TrialStatus.STOPPED)
    shown = traces(
        history_figure(view("bayes", [trial(1, 0.3), trial(2, 0.2), stopped, trial(4, None), trial(5, 0.4)]))
    )
    assert list(shown["best so far"].x) == [1, 3, 5]
    assert list(shown["best so far"].y) == [0.3, 0.9, 0.9]
    assert list(shown["stopped early"].x) == [3]
    assert shown["failed"].text[0] == "t4: diverged"


@pytest.mark.parametrize(("score", "ends"), [(0.5, (0.45, 0.55)), (0.0, (0.0, 0.1)), (1.0, (0.9, 1.0))])
def test_equal_scores_have_a_short_axis_within_0_and_1_and_trials_whole_numbers(
    score: float, ends: tuple[float, float]
) -> None:
    figure = history_figure(view("bayes", [trial(1, score)]))
    assert figure is not None
    assert figure.picture.axes[0].get_ylim() == pytest.approx(ends)
    layout = figure.interactive.layout
    assert layout.yaxis.range == pytest.approx(ends)
    assert (layout.xaxis.range, layout.xaxis.dtick) == ((0, 2), 1)


def test_different_scores_and_losses_have_an_axis_of_their_own_length() -> None:
    for scores in ((0.2, 0.4), (7.0, 7.0)):
        figure = history_figure(view("bayes", [trial(n, score) for n, score in enumerate(scores, start=1)]))
        assert figure is not None and figure.interactive.layout.yaxis.range is None


def test_best_so_far_starts_again_where_new_seeds_compare_the_result_of_a_grid() -> None:
    roles = {"grid": (0.6, 0.7), "start": (0.4,), "combined": (0.5, 0.3)}
    trials = [(role, score) for role, scores in roles.items() for score in scores]
    stage = view("bayes", [trial(n, score, role=role) for n, (role, score) in enumerate(trials, start=1)])
    figure = history_figure(stage)
    best = traces(figure)["best so far"]
    assert list(best.x) == [1, 2, 2.5, 3, 4, 5]
    assert [None if math.isnan(score) else score for score in best.y] == [0.6, 0.7, None, 0.4, 0.5, 0.5]
    assert figure is not None and "starts again" in figure.caption


def test_diverged_scores_are_not_drawn() -> None:
    assert history_figure(view("bayes", [trial(1, math.nan), trial(2, None)])) is None


def test_space_is_drawn_under_the_papers_symbols_from_two_trials_on() -> None:
    assert search_space_figures(view("bayes", [trial(1, 0.3)])) == []
    figures = search_space_figures(view("bayes", [trial(n, n / 10) for n in range(1, 8)]))
    assert [figure.name for figure in figures] == ["parallel", "slices"]
    assert [figures[1].interactive.layout[axis].title.text for axis in ("xaxis", "xaxis2")] == [
        "f, log",
        "lambda_seg, log",
    ]


def test_contours_of_points_on_one_line_are_points_only() -> None:
    trials = [trial(n, n / 10, parameters={"f": 8, "lambda_seg": 0.1 * n}) for n in range(1, 9)]
    assert search_space_figures(view("bayes", trials))[-1].name == "contours"


def test_texts_have_ticks_and_fixed_and_absent_values_no_points() -> None:
    space = Space(
        [
            IntParameter("f", 16, 16),
            ChoiceParameter("matching", ("one-to-one", "none")),
            FloatParameter("beta", 0.0, 1.0, when=(("matching", "none"),)),
            FloatParameter("alpha2", 0.0, 1.0),
        ]
    )
    points = [space.from_unit(u) for u in np.random.default_rng(0).random((8, space.dimensions))]
    shown = view("bayes", [trial(n, n / 10, parameters=point) for n, point in enumerate(points, start=1)])
    shown.state.stages["bayes"].space = space.describe()
    figures = {figure.name: figure for figure in search_space_figures(shown)}
    assert set(figures) == {"parallel", "slices", "contours"}
    parallel, slices = figures["parallel"].picture.axes[0], figures["slices"].picture.axes
    assert [label.get_text() for label in parallel.get_xticklabels()] == ["matching", "beta", "alpha2"]
    assert [label.get_text() for label in slices[0].get_xticklabels()] == ["one-to-one", "none"]
    drawn = np.ma.masked_invalid(slices[1].collections[0].get_offsets()[:, 0])
    assert drawn.count() == sum("beta" in point for point in points) < len(points)


def test_parameter_whose_condition_held_nowhere_has_no_pairs_and_the_others_are_drawn() -> None:
    matching = ChoiceParameter("matching", ("one-to-one", "none"))
    beta = FloatParameter("beta", 0.0, 1.0, when=(("matching", "none"),))
    space = Space([matching, beta, FloatParameter("alpha2", 0.0, 1.0), FloatParameter("r_s", 1.0, 2.0)])
    points = [{"matching": "one-to-one", "alpha2": n / 9, "r_s": 1.1} for n in range(1, 9)]
    shown = view("bayes", [trial(n, n / 10, parameters=point) for n, point in enumerate(points, start=1)])
    shown.state.stages["bayes"].space = space.describe()
    contours = search_space_figures(shown)[-1]
    moving = contours.interactive
    axes = {axis.title.text for axis in (*moving.select_xaxes(), *moving.select_yaxes()) if axis.title.text}
    assert contours.name == "contours" and axes == {"matching", "alpha2", "r_s"}


def test_search_of_fixed_parameters_has_no_axes_to_draw() -> None:
    shown = view("bayes", [trial(n, n / 10, parameters={"f": 16}) for n in (1, 2)])
    shown.state.stages["bayes"].space = Space([IntParameter("f", 16, 16)]).describe()
    assert search_space_figures(shown) == []


def test_cell_of_the_grid_is_the_mean_ap_of_its_class_in_seconds() -> None:
    trials = [
        zoned(1, 0.2, 20.0),
        zoned(2, 0.4, 20.0),
        zoned(3, 0.8, 10.0),
        zoned(4, 0.9, 20.0, role="start"),
    ]
    goal, card = grid_figure(view("grid-slicing", trials)).interactive.data  # type: ignore[union-attr]
    assert list(goal.x) == ["5, 20", "10, 20"] and list(goal.y) == ["-20, -10"]
    assert goal.z[0] == pytest.approx([0.8, 0.3]) and list(goal.customdata[0]) == [1, 2]
    assert card.z[0] == pytest.approx([0.4, 0.15])


def test_colour_bars_of_a_grid_do_not_repeat_the_names_above_them() -> None:
    figure = grid_figure(view("grid-slicing", [zoned(1, 0.2, 20.0), zoned(2, 0.8, 10.0)]))
    assert figure is not None
    assert [axes.get_title() for axes in figure.picture.axes] == ["goal", "card", "", ""]
    assert [axes.get_ylabel() for axes in figure.picture.axes[2:]] == ["AP", "AP"]


def test_labels_are_wrapped_and_long_ones_keep_both_ends() -> None:
    assert wrapped("goal", 12) == "goal" and wrapped("", 12) == ""
    assert wrapped("random crop and flip", 12) == "random crop\nand flip"
    assert wrapped("dropout_probability", 12) == "dropout_\nprobability"
    long = wrapped("encoder_layer_3_attention_dropout_probability_1", 12).split("\n")
    assert len(long) <= 4 and max(map(len, long)) <= 12
    assert long[:2] == ["encoder_", "layer_3_…ut_"] and "".join(long).endswith("probability_1")
    assert shortened("angriff-ohne-abschluss-2", 11) == "angri…uss-2"


def test_seeds_show_both_splits_once_the_test_split_is_open() -> None:
    trials = [trial(n, 0.3 + n / 10, role="found", tested={"average_map": 0.1 * n}) for n in (1, 2)]
    shown = traces(seeds_figure(view("final", [*trials, trial(3, None, role="own")])))
    assert list(shown["validation split, mean ± sd"].x) == pytest.approx([0.45])
    assert list(shown["test split, mean ± sd"].x) == pytest.approx([0.15])


def test_one_seed_has_no_spread() -> None:
    shown = traces(seeds_figure(view("ablation", [trial(1, 0.3, role="full model")])))
    assert list(shown["validation split, mean ± sd"].error_x.array) == [0.0]


def test_curve_of_lambda_goes_through_the_means_of_its_seeds() -> None:
    trials = [
        trial(n, score, role="lambda_seg", parameters={"lambda_seg": at})
        for n, (score, at) in enumerate([(0.2, 1.0), (0.4, 1.0), (0.1, 0.01)])
    ]
    (curve,) = traces(lambda_figure(view("lambda-sweep", trials))).values()
    assert list(curve.x) == [0.01, 1.0]
    assert list(curve.y) == pytest.approx([0.1, 0.3])


def test_curve_of_sensitivity_has_the_full_model_and_its_own_moves_in_seconds() -> None:
    trials = [
        zoned(1, 0.5, 20.0, role="full model"),
        zoned(2, 0.3, 10.0, role="K3.goal 10"),
        zoned(3, 0.1, 30.0, role="K3.card 30"),
        zoned(4, 0.2, 60.0, role="K3.goal kick 60"),  # of a class whose name begins like another's
    ]
    figure = sensitivity_figure(view("sensitivity", trials))
    assert figure is not None
    assert [list(curve.x) for curve in figure.interactive.data] == [[5.0, 10.0], [10.0, 15.0]]


@pytest.mark.parametrize(
    "stage", ["bayes", "grid-slicing", "final", "ablation", "sensitivity", "lambda-sweep"]
)
def test_stage_without_a_score_has_no_figures_and_no_failures(stage: str) -> None:
    drawn = draw_stage(view(stage, [trial(1, None, role="grid")]), TASK.presentation(stage))
    assert drawn.figures == () and drawn.failures == ()


def test_figure_that_fails_is_told_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: StageView) -> Sequence[StageFigure]:
        raise ValueError("no such colour\nand more")

    monkeypatch.setitem(draw._SEARCH_FIGURES, "importance", broken)
    drawn = draw_stage(view("bayes", [trial(1, 0.3), trial(2, 0.4)]), TASK.presentation("bayes"))
    assert drawn.failures == ("importance: ValueError: no such colour",)
    assert "history" in [figure.name for figure in drawn.figures]


def test_importance_is_a_share_of_what_single_hyperparameters_explain() -> None:
    stage = view("bayes", [trial(1, 0.3), trial(2, 0.4)], importance={"f": 0.51, "lambda_seg": 0.49})
    figure = importance_figure(stage)
    assert figure is not None and "variance that single hyperparameters explain" in figure.caption
    assert "the shares sum to 1, and interactions are not counted" in figure.caption
    axis = figure.interactive.layout.xaxis.title.text.replace("<br>", " ")
    assert axis == "share of the variance of Average-mAP that single hyperparameters explain"


def test_grid_of_a_class_without_actions_is_left_out() -> None:
    found = zoned(1, 0.2, 20.0)
    metrics = {name: value for name, value in found.reports[1].metrics.items() if name != "ap/card"}
    found.reports[1] = replace(found.reports[1], metrics=metrics)
    (goal,) = grid_figure(view("grid-slicing", [found])).interactive.data  # type: ignore[union-attr]
    assert goal.name == "goal"


@pytest.mark.parametrize(("fonts", "noted"), [(("no font",), True), (("no font", "STIXGeneral"), False)])
def test_letters_that_the_usual_font_lacks_come_from_another_or_are_noted_once(
    fonts: tuple[str, ...], noted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(style, "_MORE_LETTERS", fonts)
    style._note_missing_letters.cache_clear()
    for _ in range(2):
        figure, [[axes]] = style.panels(1, 1, width=2, height=2)
        axes.set_title("\u1d81")  # in the fonts of Matplotlib, STIXGeneral has it and DejaVu Sans does not
        assert style.figure_bytes(figure, "png", dpi=20).startswith(b"\x89PNG")
    said = capsys.readouterr().err
    assert said.count("figures lack some letters") == len(said.splitlines()) == noted
