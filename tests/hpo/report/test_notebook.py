"""Progress in a notebook: one output that is replaced."""

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hpo.journal.events import StageStarted, StudyCreated, TrialAsked, TrialFinished, TrialReported
from hpo.journal.results import StudyState
from hpo.report.live import Display
from hpo.report.notebook import NotebookDisplay, display_for


class Output:
    """The output of a cell."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.texts.append(data["text/plain"])


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    output = Output()

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Output:
        assert raw and display_id
        output.texts.append(data["text/plain"])
        return output

    package, shown = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    shown.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return output


def events() -> list[Any]:
    metrics = {"average_map": 0.25, "chunks_per_s": 900.0}
    return [
        StudyCreated(
            study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
        ),
        StageStarted(stage="bayes", space={}, trials=3, epochs=4),
        TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 16}, seed=0),
        TrialReported(trial="bayes-0001", epoch=4, metrics=metrics, train_s=1.0),
        TrialFinished(trial="bayes-0001", score=0.25, epoch=4, duration_s=61.0),
    ]


def test_the_output_is_replaced_and_its_last_state_stays(output: Output) -> None:
    written = io.StringIO()
    display = display_for(Console(file=written, force_jupyter=False))
    assert isinstance(display, NotebookDisplay)
    known = events()
    with display.shown():
        for number in range(2, len(known) + 1):
            display.update(StudyState.replay(known[:number]))
    assert output.texts[0] == "starting"
    assert len(output.texts) == 3, "the first picture and, as the events come at once, the last"
    assert "1/3 finished" in output.texts[-1] and "bayes-0001" in output.texts[-1]
    assert "bayes-0001" not in written.getvalue(), "no line per trial beside the picture"


def test_without_a_kernel_the_display_is_that_of_terminals(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (None, SimpleNamespace(get_ipython=lambda: None), SimpleNamespace(get_ipython=object)):
        monkeypatch.setitem(sys.modules, "IPython", module)
        assert type(display_for(Console(file=io.StringIO()))) is Display
