"""Arguments of hpo.run: what cannot be used is one error, before a study is made."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hpo
from hpo.api.functions import plan, run
from hpo.api.search_options import require_main_thread
from hpo.api.study import Study
from hpo.config.environment import read_environment


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"seed": -1}, "expected seed as a whole number from 0 to"),
        ({"seed": "x"}, "expected seed as a whole number from 0 to .*, got 'x'"),
        ({"callbacks": [5]}, r"expected callbacks as a list of functions, got \[5\]"),
        ({"callbacks": print}, "expected callbacks as a list of functions, got <built-in"),
        ({"games": (4, 0)}, "expected games as two numbers above 0"),
    ],
)
def test_argument_that_cannot_be_used_is_one_error(
    wrong: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("HPO_RUNS", str(tmp_path / "runs"))
    for function in (run, plan):
        with pytest.raises(hpo.ConfigError, match=complaint):
            function("bayes", **wrong)
    assert not (tmp_path / "runs").exists()


def study_in(tmp_path: Path) -> Study:
    """A study whose folder is empty, so that reading its journal would be another error."""
    return Study(tmp_path / "none", read_environment({"HPO_RUNS": str(tmp_path)}))


def test_study_runs_and_resumes_in_the_main_thread_only(tmp_path: Path) -> None:
    require_main_thread()
    raised: list[Exception] = []

    def call(function: Callable[[], object]) -> None:
        try:
            function()
        except hpo.UserError as error:
            raised.append(error)

    for function in (run, study_in(tmp_path).resume):
        thread = threading.Thread(target=call, args=[function], name="worker")
        thread.start()
        thread.join()
    for error in raised:
        assert "a study needs the main thread of its process, got the thread worker" in str(error)
    assert len(raised) == 2


def test_callbacks_of_a_resumed_study_are_checked_before_it_is_opened(tmp_path: Path) -> None:
    wrong: Any = [5]
    with pytest.raises(hpo.ConfigError, match=r"expected callbacks as a list of functions, got \[5\]"):
        study_in(tmp_path).resume(callbacks=wrong)
