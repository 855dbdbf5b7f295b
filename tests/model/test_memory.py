import subprocess
import sys

import pytest
import torch

from model.memory import free_bytes, ran_out_of_memory, unless_out_of_memory

FREES = """
import torch
from pathlib import Path
from model.memory import keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
before = resident()
many = [torch.ones(1 << 18) for _ in range(200)]
del many
print((resident() - before) / (200 << 20))
"""
"""Takes and frees 200 MB; prints the share of it that the process still has."""


def test_freed_memory_stays_for_the_next_tensors() -> None:
    done = subprocess.run([sys.executable, "-c", FREES], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0.9


def test_lack_of_memory_is_found_among_the_causes_of_an_error() -> None:
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError:
            raise torch.AcceleratorError("the capture is invalid")  # noqa: B904 - as PyTorch raises it
    except RuntimeError as error:
        assert ran_out_of_memory(error)


@pytest.mark.parametrize(
    ("error", "too_small"),
    [
        (
            torch.AcceleratorError("CUDA error: out of memory"),
            True,
        ),  # kernels and graphs lie beside PyTorch's
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("the budget is out of memory cards"), False),
    ],
)
def test_lack_of_memory_beside_pytorch_s_own_is_found_by_its_words(error: Exception, too_small: bool) -> None:
    assert ran_out_of_memory(error) == too_small

    def fail() -> int:
        raise error

    if too_small:
        assert unless_out_of_memory(fail) is None
    else:
        with pytest.raises(type(error)):
            unless_out_of_memory(fail)


def test_memory_that_pytorch_keeps_unused_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a validation finds less of it than the one before, and data no room beside a measured array."""
    free, kept = [10], [70]

    def give_back() -> None:
        free[0], kept[0] = free[0] + kept[0], 0

    monkeypatch.setattr(torch.cuda, "empty_cache", give_back)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 80))
    assert free_bytes(torch.device("cuda")) == 80
