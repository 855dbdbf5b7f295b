"""Precision of goal opportunities against the threshold of their segmentation score (figure 8)."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hpo.report.figures.style import GREY, colour, panels
from model.metrics.review import ReviewedPrecision


def precision_figure(found: Sequence[ReviewedPrecision]) -> Figure:
    """Draw precision with its interval (top) and number of sequences (bottom) by decreasing threshold."""
    figure, ((precision,), (number,)) = panels(2, 1, width=8, height=5.5)
    filled = [row for row in found if row.sequences]
    thresholds = [row.threshold for row in filled]
    precision.fill_between(
        thresholds,
        [row.low for row in filled],
        [row.high for row in filled],
        color=colour(0),
        alpha=0.15,
        linewidth=0,
        label="95 % interval (Wilson)",
    )
    precision.plot(
        thresholds,
        [row.precision for row in filled],
        color=colour(0),
        marker="o",
        label="both reviewers say yes",
    )
    precision.plot(
        thresholds,
        [row.agreement for row in filled],
        color=colour(1),
        linestyle="--",
        label="both reviewers agree",
    )
    precision.set(ylabel="share of the sequences", ylim=(-0.03, 1.03), title="Precision of the opportunities")
    precision.grid(alpha=0.3)
    bars = number.bar(
        [row.threshold for row in found],
        [row.sequences for row in found],
        width=0.03,
        color=GREY,
        edgecolor="#555555",
    )
    number.bar_label(bars, fontsize=8)
    number.set(ylabel="sequences reviewed", xlabel="threshold η that the segmentation score exceeds")
    number.margins(y=0.15)
    for axes in (precision, number):
        axes.set_xlim(max(row.threshold for row in found) + 0.03, min(row.threshold for row in found) - 0.03)
        axes.set_xticks([row.threshold for row in found])
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
