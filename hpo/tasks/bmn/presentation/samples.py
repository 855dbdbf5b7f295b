"""Comparison of two samples of runs as in section 7.5 of the paper: normality, variances, means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from rich.table import Table
from scipy import stats

from model.wording import with_interval

CONFIDENCE = 0.95
REJECTED = 0.05
"""Largest p of Bartlett's test with which variances count as different."""
LEAST_FOR_NORMALITY = 8
"""Smallest number of values for D'Agostino and Pearson's test."""
_ROUNDING = 1e-12
"""Smallest difference, relative to the largest value or to 1, that is not considered rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedComparison:
    """Numbers that the paper reports for one metric, in %: means of 20 runs each."""

    code: float
    """Mean with BMN's published code."""
    ours: float
    """Mean with the context-aware segmentation loss."""
    equal_means_p: float
    code_sd: float | None = None
    ours_sd: float | None = None


TABLE_3 = {
    "AR@100": PublishedComparison(code=75.11, ours=75.26, equal_means_p=7.4e-3),
    "AUC": PublishedComparison(code=67.16, ours=67.28, equal_means_p=9.8e-2),
    "Average-mAP": PublishedComparison(
        code=30.67, ours=31.05, equal_means_p=2.3e-18, code_sd=0.08, ours_sd=0.07
    ),
}
"""Table 3 of the paper, rows "BMN code [2]" and "Ours: [2] + Lseg", ActivityNet's validation set; p-values of
Student's t-test from its section 7.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Statistics of one sample."""

    n: int
    mean: float | None
    """Mean; None without values."""
    sd: float | None
    """Standard deviation with n - 1; None for fewer than 2 values."""
    normality_p: float | None
    """The p-value of D'Agostino and Pearson's test; None for fewer than 8 values and for equal ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleComparison:
    """Comparison of two samples; tests are None unless both samples have 2 different values."""

    a: Sample
    b: Sample
    equal_variances_p: float | None
    """The p-value of Bartlett's test."""
    test: Literal["Student", "Welch"] | None
    """Name of the t-test: Welch's if Bartlett's p is below 0.05, else Student's."""
    equal_means_p: float | None
    """Two-sided p-value of the t-test."""
    half_width: float | None
    """Half width of the 95 % interval around ``difference``."""

    @property
    def difference(self) -> float | None:
        """Mean of b minus mean of a."""
        return None if self.a.mean is None or self.b.mean is None else self.b.mean - self.a.mean


def compare_samples(a: Sequence[float], b: Sequence[float]) -> SampleComparison:
    """Compare two independent samples of finite numbers, such as the scores of two losses over seeds.

    For runs that share their seeds, ``paired.paired_difference`` gives a narrower interval.
    """
    first, second = _sample(a), _sample(b)
    if not (_varies(a) and _varies(b)):
        return SampleComparison(
            a=first, b=second, equal_variances_p=None, test=None, equal_means_p=None, half_width=None
        )
    variances_p = _equal_variances_p(a, b)
    means = stats.ttest_ind(b, a, equal_var=variances_p >= REJECTED)
    low, high = means.confidence_interval(CONFIDENCE)
    return SampleComparison(
        a=first,
        b=second,
        equal_variances_p=variances_p,
        test="Student" if variances_p >= REJECTED else "Welch",
        equal_means_p=float(means.pvalue),
        half_width=float(high - low) / 2,
    )


def samples_table(
    a: Mapping[str, Sequence[float]],
    b: Mapping[str, Sequence[float]],
    *,
    names: tuple[str, str],
    published: Mapping[str, PublishedComparison],
) -> Table:
    """Return one row per metric: means ± deviations, b minus a ± interval, p-values, the paper's numbers.

    Args:
        a: Scores of the runs in [0, 1] by metric.
        b: Scores that are compared with ``a``.
        names: Names of ``a`` and ``b``, such as ``bmn`` and ``context-aware``.
        published: Numbers of the paper by metric; empty for data that are not the paper's.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    theirs = ["BMN", "with Lseg", "difference", "p of means"] if published else []
    ours = ["runs", *names, "unpaired difference", "p of normality", "p of variances", "p of means"]
    for column in [*ours, *(f"paper: {name}" for name in theirs)]:
        table.add_column(column, justify="right")
    for metric in a:
        if metric in b:
            compared = compare_samples(a[metric], b[metric])
            table.add_row(metric, *_cells(compared), *_published_cells(published.get(metric)))
    return table


def _sample(values: Sequence[float]) -> Sample:
    tested = len(values) >= LEAST_FOR_NORMALITY and _varies(values)
    return Sample(
        n=len(values),
        mean=fmean(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        normality_p=float(stats.normaltest(values).pvalue) if tested else None,
    )


def _varies(values: Sequence[float]) -> bool:
    return len(values) > 1 and float(np.ptp(values)) > _ROUNDING * max(1.0, *map(abs, values))


def _equal_variances_p(a: Sequence[float], b: Sequence[float]) -> float:
    tested = stats.bartlett(a, b)
    # Of equal variances the statistic is 0, which rounding may take below: its p is no number then.
    return float(tested.pvalue) if tested.statistic > 0 else 1.0


def _cells(compared: SampleComparison) -> list[str]:
    a, b = compared.a, compared.b
    return [
        f"{a.n}, {b.n}",
        _spread(a.mean, a.sd),
        _spread(b.mean, b.sd),
        _spread(compared.difference, compared.half_width, sign="+"),
        f"{_p(a.normality_p)}, {_p(b.normality_p)}",
        _p(compared.equal_variances_p),
        _p(compared.equal_means_p) + (f" ({compared.test})" if compared.test else ""),
    ]


def _published_cells(paper: PublishedComparison | None) -> list[str]:
    if paper is None:
        return []
    shares = [None if sd is None else sd / 100 for sd in (paper.code_sd, paper.ours_sd)]
    return [
        _spread(paper.code / 100, shares[0]),
        _spread(paper.ours / 100, shares[1]),
        _spread((paper.ours - paper.code) / 100, None, sign="+"),
        _p(paper.equal_means_p),
    ]


def _spread(value: float | None, spread: float | None, *, sign: str = "") -> str:
    if value is None:
        return "-"
    return with_interval(value, spread, sign=sign)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
