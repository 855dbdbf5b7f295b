from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensors import draw_numbers
from torch.nn import functional

from model.networks import spectral
from model.networks.forward import pad_taps
from model.networks.spectral import convolve


@pytest.fixture(scope="module", params=["product with a matrix", "fast transform"], autouse=True)
def transform(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with both ways to transform; the fast one otherwise serves long chunks only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectral, "LONGEST_PRODUCT", 10**6 if "product" in request.param else 0)
        yield request.param


def in_time(signal: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Zero-padded convolution, (frames, batch, channels), the middle tap (taps - 1) // 2 on the frame."""
    taps = len(kernel)
    padded = functional.pad(signal.permute(1, 2, 0), ((taps - 1) // 2, taps // 2))
    return functional.conv1d(padded, kernel.permute(2, 1, 0)).permute(2, 0, 1)


def convolved(signal: torch.Tensor, kernels: list[torch.Tensor], bias: torch.Tensor) -> torch.Tensor:
    """Of a stack of one, with all kernels padded to the longest."""
    longest = max(len(kernel) for kernel in kernels)
    return convolve(signal[None], pad_taps(kernels, longest)[None], bias[None])[0]


@given(
    frames=st.integers(1, 41),
    batch=st.integers(1, 3),
    taps=st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
def test_convolution_equals_the_one_in_time(frames: int, batch: int, taps: list[int]) -> None:
    signal = draw_numbers(1, frames, batch, 3)
    kernels = [draw_numbers(length, length, 3, 2) for length in taps]
    bias = draw_numbers(2, 2 * len(taps))
    expected = torch.cat([in_time(signal, kernel) for kernel in kernels], dim=-1) + bias
    torch.testing.assert_close(convolved(signal, kernels, bias), expected, rtol=1e-4, atol=1e-4)


def test_paper_sizes_are_as_exact_as_small_ones() -> None:
    signal = draw_numbers(1, 240, 2, 32)
    kernels = [draw_numbers(taps, taps, 32, 4) / taps for taps in (12, 27, 40, 80)]
    bias = draw_numbers(2, 16)
    expected = torch.cat([in_time(signal, kernel) for kernel in kernels], dim=-1) + bias
    torch.testing.assert_close(convolved(signal, kernels, bias), expected, rtol=1e-4, atol=1e-4)


def test_gradients_equal_those_of_the_convolution_in_time() -> None:
    signal, kernels = draw_numbers(1, 21, 2, 3), [draw_numbers(taps, taps, 3, 2) for taps in (4, 7)]
    weight, bias = draw_numbers(2, 21, 2, 4), draw_numbers(3, 4)
    inputs = [tensor.requires_grad_() for tensor in (signal, *kernels, bias)]
    expected = torch.cat([in_time(signal, kernel) for kernel in kernels], dim=-1) + bias
    wanted = torch.autograd.grad((expected * weight).sum(), inputs)
    computed = torch.autograd.grad((convolved(signal, kernels, bias) * weight).sum(), inputs)
    for ours, theirs in zip(computed, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_every_slot_has_its_own_kernel() -> None:
    signal, kernel, bias = draw_numbers(1, 2, 21, 2, 3), draw_numbers(2, 2, 5, 3, 4), draw_numbers(3, 2, 4)
    expected = [in_time(signal[slot], kernel[slot]) + bias[slot] for slot in range(2)]
    torch.testing.assert_close(convolve(signal, kernel, bias), torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_long_chunks_need_no_matrices(transform: str) -> None:
    spectral._transform.cache_clear()
    convolved(draw_numbers(1, 21, 2, 3), [draw_numbers(7, 7, 3, 2)], draw_numbers(3, 2)).sum()
    assert spectral._transform.cache_info().currsize == (1 if "product" in transform else 0)


def test_number_format_of_the_signal_is_kept() -> None:
    signal, kernel = draw_numbers(1, 1, 21, 2, 3), draw_numbers(2, 1, 7, 3, 4)
    exact = convolve(signal, kernel, draw_numbers(3, 1, 4))
    rounded = convolve(signal.bfloat16(), kernel, draw_numbers(3, 1, 4))
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.2)
