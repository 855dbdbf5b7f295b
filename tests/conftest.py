"""Settings and fixtures of all tests."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["budget"]
SHARE_RAY = [Path(__file__).parent / folder for folder in ("e2e", "faults")]
"""Folders of tests that run studies in this process."""

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    """As ``hpo`` does it: threads that wait for work must not spin, here and in what Ray starts from here."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from hpo.schedule.ray_start import before_importing_ray

    torch.set_num_threads(1)
    before_importing_ray()
    # The first study of a process that has not imported Ray draws a token, which the next test would lack.
    import ray  # noqa: F401


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Ray takes processor time when it rests too: it ends with the tests that share it."""
    ray = sys.modules.get("ray")
    if ray and ray.is_initialized() and not any(map(item.path.is_relative_to, SHARE_RAY)):
        ray.shutdown()


@pytest.fixture(scope="session")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder whose modules the trials of the shared Ray can import."""
    return tmp_path_factory.mktemp("modules")


@pytest.fixture(scope="session")
def ray(module_folder: Path) -> Iterator[None]:
    """One Ray for all studies that run in this process: starting it takes longer than a small study."""
    from hpo.schedule.local_ray import ray_session
    from hpo.study.devices import available_cpus

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as changed:
            changed.setenv("PYTHONPATH", str(module_folder), prepend=os.pathsep)
            stack.enter_context(ray_session(cpus=max(3, available_cpus()), gpus=0))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the repository: golden vectors and data sets."""
    folder = Path(os.environ.get("HPO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference material is not at {folder}; set HPO_SHARED to the folder that holds it")
    return folder
