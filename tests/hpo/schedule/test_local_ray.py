"""Ray of one command: where it lives, whom signals reach, and how its death shows."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpo.schedule import local_ray, ray_folder
from hpo.schedule.local_ray import RayDeath, RayDiedError
from hpo.schedule.ray_start import before_importing_ray

# Another thread searches for garbage while Ray shuts down, and finds references to Ray's objects.
SEARCHED = """
import gc, threading
from hpo.schedule.ray_start import before_importing_ray, start_ray, stop_ray
before_importing_ray()
import ray
start_ray(address="local", num_cpus=1, include_dashboard=False)

class Knot:
    def __init__(self, reference):
        self.me, self.reference = self, reference

references = [ray.put(number) for number in range(3000)]
gc.disable()
knots = [Knot(reference) for reference in references]
gc.set_threshold(1_000_000_000)
gc.enable()
del knots, references
is_over = threading.Event()

def search():
    while ray.is_initialized():
        pass
    gc.set_threshold(50, 1, 1)
    while not is_over.is_set():
        knot = []
        knot.append(knot)

searching = threading.Thread(target=search)
searching.start()
stop_ray()
is_over.set()
searching.join()
print("survived")
"""

IN_SESSIONS = """
import os
from hpo.schedule.local_ray import death_of_ray, ray_session
with ray_session(cpus=1, gpus=0):
    from ray._private.worker import _global_node as node
    started = [process for _, process in node.live_processes()]
    assert len(started) >= 2
    assert death_of_ray() is None
    assert {name for name, _ in node.live_processes()} <= {"gcs_server", "raylet", "reaper"}
    assert node.dashboard_agent_listen_port != 52365, "another Ray on this machine may have Ray's usual port"
    assert all(os.getsid(process.pid) != os.getsid(0) for process in started)
    folder = node.get_temp_dir_path()
    assert os.stat(folder).st_mode & 0o77 == 0
    print(folder)
"""


def python(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    # A test of the same worker may have left a RAY_AUTH_MODE, with which a user answers for the token.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_a_search_for_garbage_does_not_end_a_process_that_stops_ray() -> None:
    done = python(SEARCHED)
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr


@pytest.mark.slow
def test_processes_of_ray_are_out_of_reach_of_signals_to_the_group_and_leave_nothing(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 40)
    long.mkdir()
    home = tmp_path / "no" / "home"
    done = python(IN_SESSIONS, TMPDIR=str(long), HOME=str(home), RAY_ADDRESS="local")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert not folder.exists() and not folder.is_relative_to(long)
    assert not home.exists()


def test_the_error_of_a_dead_ray_says_what_died_where_its_log_is_and_what_to_type() -> None:
    error = RayDeath("raylet", Path("/logs/raylet.out")).error("night")
    assert isinstance(error, RayDiedError)
    assert "raylet" in error.message
    assert error.details["log"] == "/logs/raylet.out" and "hpo resume night" in error.details["fix"]


def test_a_dead_raylet_is_found_while_another_thread_stops_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import worker

    processes: dict[str, list[object]] = {}

    def ends_meanwhile() -> None:
        processes.pop("reaper", None)

    def started(poll: Callable[[], int | None]) -> list[object]:
        return [SimpleNamespace(process=SimpleNamespace(poll=poll))]

    processes |= {"gcs_server": started(ends_meanwhile), "reaper": started(lambda: 0)}
    processes["raylet"] = started(lambda: -9)
    node = SimpleNamespace(all_processes=processes, get_logs_dir_path=lambda: "/logs")
    monkeypatch.setattr(worker, "_global_node", node)
    found = local_ray.death_of_ray()
    assert found is not None and (found.process, found.log) == ("raylet", Path("/logs/raylet.out"))


@pytest.mark.parametrize("has_logs", [False, True])
def test_a_start_that_fails_keeps_its_reason_and_at_most_its_logs_for_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_logs: bool
) -> None:
    def refuse(**options: object) -> None:
        (tmp_path / "ray").chmod(0o777)  # as Ray does
        if has_logs:
            (tmp_path / "ray" / "session_latest" / "logs").mkdir(parents=True)
        raise RuntimeError("no more\nports")

    before_importing_ray()
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(local_ray, "start_ray", refuse)
    monkeypatch.setattr(local_ray, "stop_ray", lambda: None)
    monkeypatch.setattr(ray_folder, "_make_folder", lambda: tmp_path / "ray")
    (tmp_path / "ray").mkdir()
    with (
        pytest.raises(local_ray.RayStartError, match="Ray cannot start: RuntimeError: no more ports"),
        local_ray.ray_session(cpus=1, gpus=0),
    ):
        pass
    assert (tmp_path / "ray").exists() == has_logs
    assert not has_logs or (tmp_path / "ray").stat().st_mode & 0o77 == 0


def test_trials_work_in_the_folder_of_the_command_not_in_one_that_ray_deletes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_CHDIR_TO_TRIAL_DIR", raising=False)
    before_importing_ray()
    assert os.environ["RAY_CHDIR_TO_TRIAL_DIR"] == "0"
