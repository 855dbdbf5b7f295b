"""The checks that need a GPU, on a simulated one (tests/simulated_gpu): right passes, planted faults fail."""

import json
from typing import Any

import pytest
from simulated_gpu.shim import CannotSimulateError, library, with_simulated_gpu

pytestmark = pytest.mark.slow

FORMATS = ("float32", "tf32", "bfloat16")


@pytest.fixture(scope="module")
def lines() -> Any:
    try:
        library()
    except CannotSimulateError as reason:
        pytest.skip(f"no simulated GPU: {reason}")
    done = with_simulated_gpu("-m", "simulated_gpu.bench")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("check", ["step", "replay", "waits"])
def test_what_is_right_passes_in_every_format(lines: Any, check: str) -> None:
    assert [line["verdict"] for line in lines[check]] == ["PASS"] * len(FORMATS), lines[check]
    assert [line["name"].rpartition(" ")[2] for line in lines[check]] == list(FORMATS)


def test_step_of_bmn_passes_in_every_format_and_waits_for_nothing(lines: Any) -> None:
    assert [line["verdict"] for line in lines["BMN step"]] == ["PASS"] * 3, lines["BMN step"]
    assert [line["verdict"] for line in lines["BMN waits"]] == ["PASS"] * 2, lines["BMN waits"]


def test_step_of_bmn_that_waits_for_a_copy_fails(lines: Any) -> None:
    for line in lines["BMN waiting"]:
        assert line["verdict"] == "FAIL" and "copy to the device" in line["figures"]


def test_recording_that_does_less_than_the_step_fails(lines: Any) -> None:
    assert {line["verdict"] for line in lines["forgetful replay"]} == {"FAIL"}


def test_steps_are_recorded_again_for_other_trials(lines: Any) -> None:
    assert [line["verdict"] for line in lines["other trials"]] == ["PASS"], lines["other trials"]


def test_step_that_reads_a_number_fails(lines: Any) -> None:
    for line in lines["reading steps"]:
        assert line["verdict"] == "FAIL" and "called a synchronizing CUDA operation: read" in line["figures"]


def test_array_shrinks_to_the_memory_that_is_left(lines: Any) -> None:
    (line,) = lines["memory limit"]
    assert line["verdict"] == "PASS" and "all finished; the device's memory is too small" in line["figures"]


def test_limit_that_is_not_felt_fails(lines: Any) -> None:
    (line,) = lines["no memory limit"]
    assert line["verdict"] == "FAIL" and "did not shrink" in line["figures"]
