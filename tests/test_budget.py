"""The budget of the default run counts processor time, whoever spends it, and fails who spends too much."""

from pathlib import Path

import budget
import pytest

pytest_plugins = ["pytester"]
TESTS = Path(__file__).parent


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file fails above a quarter of a second."""
    monkeypatch.setattr(budget, "SHARE_S", 0.25 / budget.SLACK)


def run(pytester: pytest.Pytester, *words: str) -> tuple[pytest.RunResult, str]:
    found = pytester.runpytest_inprocess("-p", "budget", "-p", "no:cacheprovider", *words)
    return found, found.stdout.str()


@pytest.mark.parametrize("words", [["-n0"], ["-n1", "--dist", "loadfile"]])
def test_run_in_which_a_file_took_too_much_fails_and_names_it(
    pytester: pytest.Pytester, small_shares: None, words: list[str]
) -> None:
    code = "import time\ndef test_it():\n    stop = time.process_time() + 0.5\n"
    pytester.makepyfile(
        test_long=f"{code}    while time.process_time() < stop: pass", test_short="def test_it(): pass"
    )
    found, said = run(pytester, *words)
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    assert "over budget: test_long.py took" in said and "over budget: test_short.py" not in said
    found.assert_outcomes(passed=2)


def test_time_on_the_clock_does_not_count(pytester: pytest.Pytester, small_shares: None) -> None:
    pytester.makepyfile("import time\ndef test_it(): time.sleep(0.6)")
    found, said = run(pytester, "-n0")
    assert found.ret == pytest.ExitCode.OK and "over budget" not in said


@pytest.mark.parametrize("ends", [True, False])
def test_time_of_processes_counts_whether_they_have_ended_or_not(
    pytester: pytest.Pytester, small_shares: None, ends: bool
) -> None:
    pytester.makepyfile(
        burning="""
        import sys, time
        while time.process_time() < 0.6:
            pass
        print("burnt", flush=True)
        sys.stdin.readline()
        """,
        test_it=f"""
        import subprocess, sys
        from pathlib import Path

        def test_it():
            words = [sys.executable, Path(__file__).with_name("burning.py")]
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            process.stdout.readline()
            if {ends}:
                process.communicate()
        """,
    )
    found, said = run(pytester, "-n0", "-W", "ignore")
    assert found.ret == pytest.ExitCode.TESTS_FAILED and "over budget" in said


def test_tests_that_are_left_out_and_fixtures_of_the_whole_run_count_for_no_file(
    pytester: pytest.Pytester, small_shares: None
) -> None:
    pytester.makepyfile(
        """
        import time, pytest

        def burn():
            stop = time.process_time() + 0.5
            while time.process_time() < stop: pass

        @pytest.fixture(scope="session")
        def shared(): burn()

        def test_that_is_first_to_ask(shared): pass

        @pytest.mark.slow
        def test_that_is_slow(): burn()
        """
    )
    found, said = run(pytester, "-n0", "-W", "ignore")
    assert found.ret == pytest.ExitCode.OK and "over budget" not in said


def test_machine_on_which_most_files_take_longer_may_take_as_much_longer() -> None:
    spent_s = {file: 2 * share_s for file, share_s in budget.SHARES_S.items()}
    spent_s["tests/test_other.py"] = 1.9 * budget.SLACK * budget.SHARE_S
    assert not budget.over_budget(spent_s)
    spent_s["tests/test_other.py"] = 2.1 * budget.SLACK * budget.SHARE_S
    assert [complaint.split()[0] for complaint in budget.over_budget(spent_s)] == ["tests/test_other.py"]
    few = dict(list(spent_s.items())[: budget.FEWEST - 1])
    assert budget.slowness(few) == 1.0 and budget.slowness(spent_s) == 2.0


def test_shares_of_all_files_are_within_the_goal() -> None:
    files = [f"tests/{file.relative_to(TESTS)}" for file in TESTS.glob("**/test_*.py")]
    assert set(budget.SHARES_S) <= set(files)
    assert min(budget.SHARES_S.values()) > budget.SHARE_S
    never = ("tests/faults/", "tests/service/")
    assert sum(budget.share_s(file) for file in files if not file.startswith(never)) <= budget.GOAL_S
