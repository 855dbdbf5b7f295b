"""Keeps the time of the default test run: every file has a share of processor time, and fails above it.

Processor time and not time on a clock, for what else the machine does must not fail a test. Tests that are
marked as not belonging to the default run are not counted, and fixtures of a whole run count for no file: it
is a matter of order which file first asks for them.
"""

import os
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from statistics import median

import pytest

GOAL_S = 2 * 8 * 60
"""Processor time of the default run: two cores for eight minutes."""
SHARE_S = 1.5
"""Share of a file that is not in the table."""
SHARES_S: dict[str, float] = {
    # Commands and studies from what is typed to the answer: processes, Ray and MLflow.
    "tests/e2e/test_command_line.py": 15.0,
    "tests/e2e/test_highlights.py": 8.0,
    "tests/e2e/test_moved_folders.py": 18.0,
    "tests/e2e/test_networks.py": 20.0,
    "tests/e2e/test_python.py": 20.0,
    "tests/e2e/test_reproduce.py": 20.0,
    "tests/e2e/test_secrets.py": 8.0,
    "tests/e2e/test_stages.py": 20.0,
    "tests/e2e/test_study.py": 30.5,
    "tests/e2e/test_wrong_input.py": 2.5,
    "tests/hpo/study/running/test_session.py": 6.0,
    "tests/hpo/study/running/test_starting.py": 3.0,
    # Networks are trained, some until a difference in the last bit would have grown.
    "tests/conformance/test_tasks.py": 6.0,
    "tests/fuzz/test_activitynet.py": 4.0,
    "tests/fuzz/test_labels.py": 4.0,
    "tests/fuzz/test_weights.py": 3.0,
    "tests/hpo/bench/test_memory.py": 6.0,
    "tests/hpo/bench/test_numbers.py": 9.0,
    "tests/hpo/bench/test_recovery.py": 10.0,
    "tests/hpo/cli/test_bench.py": 8.0,
    "tests/hpo/cli/test_catalogue.py": 10.0,
    "tests/hpo/study/recorded/test_comparing.py": 5.0,
    "tests/hpo/study/recorded/test_reproducing.py": 9.0,
    "tests/hpo/trial/test_array.py": 10.0,
    "tests/hpo/trial/test_in_training.py": 6.0,
    "tests/hpo/trial/test_run.py": 7.0,
    "tests/model/test_memory.py": 2.5,
    "tests/model/training/boundary/test_trainer.py": 18.0,
    "tests/model/training/test_trainer.py": 7.0,
    "tests/model/training/test_benchmark.py": 10.0,
    "tests/model/training/test_neighbours.py": 58.0,
    # Searchers against random search, each over seeds; grids to their end.
    "tests/hpo/search/test_bayesian.py": 3.0,
    "tests/hpo/search/test_estimated_gain.py": 3.0,
    "tests/hpo/search/test_expected.py": 3.0,
    "tests/hpo/search/test_related.py": 4.0,
    "tests/conformance/test_searchers.py": 50.0,
    "tests/hpo/tasks/calf/test_grids.py": 15.0,
    # Networks with kernels of up to 2000 frames.
    "tests/hpo/tasks/calf/test_frame_rates.py": 14.0,
    # Every command and every table of the documentation.
    "tests/documentation/test_blocks.py": 2.5,
    "tests/documentation/test_reference.py": 2.5,
    # Processes that are killed while they write, or see only what was sent to them.
    "tests/hpo/schedule/test_code_package.py": 15.0,
    "tests/hpo/tracking/test_mlflow_kept.py": 20.0,
    # Models in MLflow's format, each written and registered in a store.
    "tests/hpo/tracking/test_registration.py": 6.0,
    "tests/model/data/test_download.py": 12.0,
    "tests/model/data/checks/test_folders_as_found.py": 2.5,
    "tests/model/data/layout/test_rates.py": 2.0,
    # Videos are written and decoded.
    "tests/hpo/spotting/test_video.py": 2.5,
    "tests/hpo/spotting/test_videos.py": 8.0,
    "tests/model/features/test_decoding.py": 6.0,
    "tests/model/features/test_extraction.py": 5.0,
    "tests/model/features/test_networks.py": 8.0,
    # Figures; whole files broken at many places; a package of somebody else.
    "tests/fuzz/test_wyscout.py": 10.0,
    "tests/hpo/spotting/test_analysis_files.py": 18.0,
    "tests/parity/test_soccernet_package.py": 6.0,
    # All events of a real competition.
    "tests/model/data/wyscout/test_real_matches.py": 6.0,
    # All 19,228 published annotations of ActivityNet.
    "tests/model/data/activitynet/test_activitynet.py": 4.0,
    # Runs of pytest in which something takes too long.
    "tests/test_budget.py": 6.0,
}
"""Share of a file that needs more, and why."""
SLACK = 4.0
"""A file fails above so many times its share: kinds of work differ in how much slower they are elsewhere."""
FEWEST = 5
"""Number of files with a share of their own from which on a run tells how slow the machine is."""
LONG_S = {
    "tests/faults/test_resumed_studies.py": 500.0,
    "tests/service/test_service.py": 450.0,
    "tests/faults/test_running_studies.py": 400.0,
    "tests/documentation/test_tutorials.py": 300.0,
    "tests/service/test_slurm.py": 250.0,
    "tests/e2e/test_stages.py": 150.0,
    "tests/e2e/test_secrets.py": 120.0,
    "tests/e2e/test_arrays.py": 120.0,
    "tests/model/features/test_decoding.py": 90.0,
    "tests/hpo/bench/test_on_simulated_gpu.py": 70.0,
    "tests/hpo/bench/test_study.py": 60.0,
}
"""Rough seconds of the longest files that the default run leaves out. It only says which begin first."""
LEFT_OUT = ("slow", "faults", "service", "gpu")
"""Marks of tests that the default run leaves out."""
SHOWN = 10
"""How many files are listed after a run."""
WORTH_S = 30.0
"""Runs that took less end without a list."""
_OWN, _SHARED = "own_cpu_s", "shared_cpu_s"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def share_s(file: str) -> float:
    """Processor time that the tests of a file may take together."""
    return SHARES_S.get(file, SHARE_S)


def slowness(spent_s: Mapping[str, float]) -> float:
    """How many times longer than its share a file takes here by the machine's fault, 1 or more.

    It is the median of the files in the table: where most of them take twice their share, the processor is
    slow or busy, or lacks instructions such as those for bfloat16.
    """
    ratios = [cpu_s / SHARES_S[file] for file, cpu_s in spent_s.items() if file in SHARES_S]
    return max(1.0, median(ratios)) if len(ratios) >= FEWEST else 1.0


def over_budget(spent_s: Mapping[str, float]) -> list[str]:
    """Files that took too much, in words."""
    most = SLACK * slowness(spent_s)
    return [
        f"{file} took {cpu_s:.0f} s of processor time, its share is {share_s(file):.0f} s"
        for file, cpu_s in spent_s.items()
        if cpu_s > most * share_s(file)
    ]


def tree_cpu_s() -> float:
    """Processor time so far of this process and of all that it started, ended or not."""
    return sum(os.times()[:4]) + sum(map(_cpu_s, _descendants(os.getpid())))


def _descendants(process: int) -> list[int]:
    """Processes that a process started, and those that they did; none where the system does not tell."""
    found: list[int] = []
    with suppress(OSError):  # it ended just now
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found + [lower for child in found for lower in _descendants(child)]


def _cpu_s(process: int) -> float:
    """Processor time of a process and of those of its children that have ended."""
    with suppress(OSError):
        # The name in parentheses may hold blanks.
        columns = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, columns[11:15])) / _TICKS_PER_S
    return 0.0


_BEFORE = pytest.StashKey[float]()
_FIXTURES = pytest.StashKey[float]()
"""Time of the fixtures of a whole run that a test was the first to ask for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: with one of them at the end, one worker would wait for the other.

    Of those that the default run does not leave out, the end-to-end tests come first: they share a Ray.
    """

    def rank(item: pytest.Item) -> tuple[float, bool, float]:
        file = item.nodeid.partition("::")[0]
        is_left_out = any(map(item.get_closest_marker, LEFT_OUT))
        long_s = LONG_S.get(file, 0.0) if is_left_out else 0.0
        return -long_s, not file.startswith("tests/e2e/"), -share_s(file)

    items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note the time before a test and all that is made for it."""
    item.stash[_FIXTURES] = 0.0
    item.stash[_BEFORE] = tree_cpu_s()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Keep the time of a fixture of a whole run apart; those that it asks for are made before."""
    if fixturedef.scope != "session":
        return (yield)
    before = tree_cpu_s()
    value = yield
    item = request._pyfuncitem
    item.stash[_FIXTURES] += max(0.0, tree_cpu_s() - before)
    return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the time of a test into its last report, with which it reaches the process that counts."""
    report = yield
    if call.when == "teardown" and not any(map(item.get_closest_marker, LEFT_OUT)):
        shared_s = item.stash[_FIXTURES]
        # What a killed process left to nobody is missing from the second sum.
        own_s = max(0.0, tree_cpu_s() - item.stash[_BEFORE] - shared_s)
        report.user_properties += [(_OWN, own_s), (_SHARED, shared_s)]
    return report


class Budget:
    """Adds up the time of every file, and shows and judges it at the end."""

    def __init__(self) -> None:
        self._spent_s: defaultdict[str, float] = defaultdict(float)
        self._shared_s = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that has ended."""
        if report.when == "teardown":
            told = dict(report.user_properties)
            self._spent_s[report.nodeid.partition("::")[0]] += told.get(_OWN, 0.0)
            self._shared_s += told.get(_SHARED, 0.0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in which a file took more than its share."""
        if session.exitstatus == pytest.ExitCode.OK and over_budget(self._spent_s):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the files that took longest, and those that took too long."""
        total_s = sum(self._spent_s.values()) + self._shared_s
        complaints = over_budget(self._spent_s)
        if total_s < WORTH_S and not complaints:
            return
        terminalreporter.section(f"{total_s:.0f} s of processor time, goal {GOAL_S} s for the default run")
        slowest = sorted(self._spent_s.items(), key=itemgetter(1), reverse=True)
        for file, cpu_s in slowest[:SHOWN]:
            terminalreporter.line(f"{cpu_s:6.1f} s, share {share_s(file):3.0f} s  {file}")
        terminalreporter.line(f"{self._shared_s:6.1f} s  fixtures of the whole run")
        for complaint in complaints:
            terminalreporter.line(f"over budget: {complaint}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that shows the results, not in those that only run tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Budget(), "budget-of-files")
