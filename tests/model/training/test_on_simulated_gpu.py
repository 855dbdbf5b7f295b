"""The path of a GPU, step by step, on a simulated one (tests/simulated_gpu).

A host read in a recording, tensors of two devices, or a step with more kernels than before fails here.
"""

import json
from typing import Any

import pytest
from simulated_gpu.shim import CannotSimulateError, library, with_simulated_gpu

pytestmark = pytest.mark.slow

KERNELS = {"alone": 525, "64": 532, "64 in bfloat16": 580}
"""Most kernels of a training step; a change that lowers a number lowers it here."""
STEPS = {
    "alone": {"count": 1, "sizes": [[16, 80]]},
    "64": {"count": 64, "sizes": [[16, 80]]},
    "64 in bfloat16": {"count": 64, "sizes": [[16, 80]], "dtype": "bfloat16"},
}


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    try:
        library()
    except CannotSimulateError as reason:
        pytest.skip(f"no simulated GPU: {reason}")


def said(module: str, given: Any = None) -> Any:
    done = with_simulated_gpu("-m", module, given=json.dumps(given))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def checks() -> Any:
    return said("simulated_gpu.checks")


@pytest.mark.parametrize("kind", ["steps", "grouped_steps"])
def test_recorded_steps_learn_what_separate_ones_learn(checks: Any, kind: str) -> None:
    found = checks[kind]
    assert found["notes"] == [] and found["difference"] < 1e-9
    assert found["captures"] == 2, "one for every size of a batch"
    assert found["pools"] == 1 and found["replays"] > found["captures"]


def test_array_keeps_its_recordings_over_validations(checks: Any) -> None:
    first, second = checks["array"]["captures"]
    assert first == second and checks["array"]["pools"] == 1


def test_array_reaches_what_a_processor_reaches(checks: Any) -> None:
    """In float32, whose rounding grows."""
    assert checks["array"]["notes"] == [] and checks["array"]["difference"] < 2e-3


def test_measurements_run_on_a_gpu(checks: Any) -> None:
    assert checks["measurement"]["array"] in (1, 2)
    assert checks["measurement"]["precision"] in ("float32", "tf32", "bfloat16")


def test_step_of_bmn_waits_for_nothing(checks: Any) -> None:
    assert checks["bmn"]["difference"] < 1e-6
    assert checks["bmn"]["waits"] == {}


def test_simulated_gpu_refuses_what_a_gpu_refuses(checks: Any) -> None:
    """Otherwise the tests above would prove nothing."""
    (read,) = checks["controls"]["read"]
    assert "_local_scalar_dense" in read and "without recordings" in read
    (mixed,) = checks["controls"]["mixed"]
    assert "tensors on cuda:0 and on the host" in mixed


def test_step_has_no_more_kernels_than_before() -> None:
    found = said("simulated_gpu.counting", list(STEPS.values()))
    assert {name: step["kernels"] for name, step in zip(STEPS, found, strict=True)} == KERNELS
