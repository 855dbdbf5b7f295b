"""The Slurm script of ``examples/``, with Slurm's commands replaced by plain processes on this machine."""

import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from e2e.command_line import STUDY_FILE
from e2e.processes import command_of, descendants, ray_processes
from faults.study import TRIAL
from service.processes import Process, passes
from waiting import wait_until

from hpo.journal.events import Event, StudyInterrupted, TrialFinished, TrialReported
from hpo.journal.journal import read_journal
from hpo.study.devices import available_cpus

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
EPOCHS = 120
"""So many that the trials are still training when the job is stopped, also on a machine with other work."""
STAND_INS = {
    # The script gives every option in one word.
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "scontrol": 'if [ "$1" = show ]; then printf "node1\\nnode2\\n"; else echo "$*" >> slurm-log; fi',
    "squeue": '[ "$*" = "--noheader --jobs=$SLURM_JOB_ID --format=%T" ] && cat job-state',
    "hostname": "echo 127.0.0.1 192.0.2.1",
    "hpo": 'exec python -m hpo "$@"',
    "apptainer": 'echo "$*" >> apptainer-log; while [ "$1" != hpo.sif ]; do shift; done; shift; exec "$@"',
}


@dataclass
class Job:
    """A job that can be started again, in a folder that all its nodes see."""

    folder: Path
    nodes: int
    number: int
    variables: dict[str, str]
    stack: ExitStack

    def start(self, *words: str) -> Process:
        """Start the script, as Slurm does also after a requeue."""
        script = ROOT / "examples" / "slurm" / "study.sh"
        process = Process("job", ["bash", str(script), "tuned", *words], self.variables, self.folder)
        self.stack.callback(process.stop)
        return process

    def events(self) -> list[Event]:
        folder = self.folder / "hpo-runs" / "studies" / "tuned"
        return list(read_journal(folder).events) if (folder / "journal.jsonl").exists() else []

    def validations(self) -> Counter[tuple[str, int]]:
        return Counter(
            (event.trial, event.epoch) for event in self.events() if isinstance(event, TrialReported)
        )

    def training(self) -> int:
        """How many trials have a validation."""
        return len({trial for trial, _ in self.validations()})

    def requeued(self) -> list[str]:
        log = self.folder / "slurm-log"
        return log.read_text().splitlines() if log.exists() else []


def free_job() -> int:
    """Number of a job whose ports, as the script makes them, are free."""
    while True:
        number = random.randrange(6000)
        with ExitStack() as stack, suppress(OSError):
            for port in (20000 + 2 * number, 20001 + 2 * number):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return number


@pytest.fixture
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    from model.data.synthetic import write_synthetic

    write_synthetic(tmp_path / "data", games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    (tmp_path / "small.toml").write_text(STUDY_FILE)
    (tmp_path / "job-state").write_text("RUNNING\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    # The script makes its ports of the job's number.
    number = free_job()
    with ExitStack() as stack:
        temporary = stack.enter_context(TemporaryDirectory(prefix="hpo-", ignore_cleanup_errors=True))
        variables = {
            "PATH": f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": temporary,
            "SLURM_JOB_ID": str(number),
            "SLURM_JOB_NUM_NODES": str(request.param),
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_CPUS_PER_TASK": "1",
        }
        yield Job(tmp_path, request.param, number, variables, stack)


def words(concurrent: int) -> list[str]:
    options = ["--data", "data", "--study-file", "./small.toml", "--searcher", "random", "--trials", "2"]
    return [*options, "--epochs", str(EPOCHS), "--concurrent", str(concurrent)]


def trainers(job: Process) -> set[int]:
    """Processes that train; Ray calls them by one name or the other."""
    return set(ray_processes(job.pid, TRIAL, "TrialTrainable"))


def stop_when_both_train(job: Job, running: Process) -> None:
    """Send Slurm's early signal, which reaches the script only, once both trials have a validation."""
    wait_until(lambda: job.training() == 2 or not running.running)
    assert running.running, running.log()
    assert not any(isinstance(event, TrialFinished) for event in job.events())
    mine = descendants(running.pid)
    os.kill(running.pid, signal.SIGTERM)
    wait_until(lambda: not running.running)
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in mine))


def finish(job: Job, running: Process) -> None:
    wait_until(lambda: not running.running, timeout_s=240)
    assert "Best configurations" in running.log()
    finished = Counter(event.trial for event in job.events() if isinstance(event, TrialFinished))
    assert finished == Counter(["bayes-0001", "bayes-0002"])
    expected = [(trial, epoch) for trial in finished for epoch in range(1, EPOCHS + 1)]
    assert job.validations() == Counter(expected), "nothing is lost, nothing is twice"


@pytest.mark.parametrize("job", [2], indirect=True)
def test_study_on_two_nodes_stops_early_is_requeued_and_goes_on(job: Job) -> None:
    running = job.start(*words(available_cpus()))
    address = f"127.0.0.1:{20000 + job.number % 6000 * 2}"
    wait_until(lambda: job.training() == 2 or not running.running, timeout_s=240)
    # A node has one core: both trials train at the same time on two nodes, which need the job's token.
    wait_until(lambda: len(trainers(running)) == 2 or not running.running)
    assert running.running, running.log()
    assert not any("log_monitor" in command_of(number) for number in descendants(running.pid))
    assert not passes(["ray", "health-check", "--address", address], {"PATH": job.variables["PATH"]})
    stop_when_both_train(job, running)
    assert "stopped; resume with: hpo resume tuned" in running.log()
    assert isinstance(job.events()[-1], StudyInterrupted)
    assert job.requeued() == [f"requeue {job.number}"]
    assert not list(Path(job.variables["RAY_TMPDIR"]).iterdir()), "no file of Ray is left"
    again = job.start(*words(available_cpus()))
    finish(job, again)
    assert len(job.requeued()) == 1


@pytest.mark.parametrize("job", [1], indirect=True)
def test_study_on_one_node_runs_in_the_image_and_a_cancelled_job_stays_away(job: Job) -> None:
    job.variables |= {"HPO_IMAGE": "hpo.sif", "SLURM_GPUS_ON_NODE": "1"}
    (job.folder / "hpo-runs" / "studies" / "tuned").mkdir(parents=True)
    # As a kill before the first event leaves it: there is nothing to resume.
    (job.folder / "hpo-runs" / "studies" / "tuned" / "journal.jsonl").touch()
    running = job.start(*words(2))
    (job.folder / "job-state").write_text("CANCELLED\n")
    stop_when_both_train(job, running)
    assert job.requeued() == []
    (call, *_) = (job.folder / "apptainer-log").read_text().splitlines()
    runs = job.folder / "hpo-runs"
    folders = f"{job.folder},{runs},{runs}/cache,{job.variables['RAY_TMPDIR']}"
    assert call.startswith(f"exec --nv --bind {folders} hpo.sif hpo run bayes")
    finish(job, job.start(*words(2)))


@pytest.mark.parametrize("job", [1], indirect=True)
def test_job_whose_time_ends_before_python_has_started_is_requeued(job: Job) -> None:
    starting = job.folder / "bin" / "hpo"
    starting.write_text("#!/bin/bash\ntouch started\nexec sleep 60\n")
    running = job.start(*words(1))
    wait_until(lambda: (job.folder / "started").exists())
    os.kill(running.pid, signal.SIGTERM)
    wait_until(lambda: not running.running)
    assert job.requeued() == [f"requeue {job.number}"]


@pytest.mark.parametrize("job", [1], indirect=True)
def test_job_that_the_user_stops_is_not_requeued(job: Job) -> None:
    stopped_by_user = job.folder / "bin" / "hpo"
    stopped_by_user.write_text("#!/bin/bash\nexit 130\n")
    stopped_by_user.chmod(0o755)
    running = job.start(*words(1))
    wait_until(lambda: not running.running)
    assert job.requeued() == []
