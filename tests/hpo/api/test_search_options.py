"""Arguments of hpo.run: what cannot be used is one error, before a study is made."""

import threading
from typing import Any

import pytest

import hpo
from hpo.api.functions import plan, run
from hpo.api.search_options import require_main_thread


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


def test_study_runs_in_the_main_thread_only() -> None:
    require_main_thread()
    raised: list[Exception] = []

    def call() -> None:
        try:
            run("bayes")
        except hpo.ConfigError as error:
            raised.append(error)

    thread = threading.Thread(target=call, name="worker")
    thread.start()
    thread.join()
    assert "hpo.run needs the main thread of its process, got the thread worker" in str(raised[0])
