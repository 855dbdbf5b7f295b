"""A line of ``hpo bench --check``: what was checked, the verdict and the figures."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "FAIL", "not checked"]

NEEDS_GPU = "needs a GPU"


@dataclass(frozen=True, slots=True)
class Line:
    """Result of one check."""

    name: str
    """Subject of the check."""
    verdict: Verdict
    figures: str
    """Measured and expected values; for ``not checked``, the reason."""

    @property
    def text(self) -> str:
        """The line as it is printed."""
        if self.verdict == "not checked":
            return f"-     {self.name:<{_NAME_WIDTH}}  not checked: {self.figures}"
        return f"{self.verdict}  {self.name:<{_NAME_WIDTH}}  {self.figures}"


_NAME_WIDTH = 38
"""Characters of the longest name."""


def judged(name: str, passed: bool, figures: str) -> Line:
    """Return a line that says PASS or FAIL."""
    return Line(name, "PASS" if passed else "FAIL", figures)


def not_checked(name: str, reason: str) -> Line:
    """Return a line for what cannot be checked here."""
    return Line(name, "not checked", reason)
