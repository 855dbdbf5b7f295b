import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from model.networks.layers import FrameNorm, ShortConvolution


def draw_numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_short_convolution_and_its_gradients_are_those_of_a_zero_padded_convolution() -> None:
    layer = ShortConvolution(4, 5)
    nn.init.normal_(layer.kernel, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
    signal, weight = draw_numbers(3, 9, 2, 4).requires_grad_(), draw_numbers(4, 9, 2, 5)
    expected = functional.conv1d(
        signal.permute(1, 2, 0), layer.kernel.permute(2, 1, 0), layer.bias, padding=1
    ).permute(2, 0, 1)
    torch.testing.assert_close(layer(signal), expected, rtol=1e-5, atol=1e-5)
    inputs = [signal, layer.kernel, layer.bias]
    wanted = torch.autograd.grad((expected * weight).sum(), inputs)
    computed = torch.autograd.grad((layer(signal) * weight).sum(), inputs)
    for ours, theirs in zip(computed, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_norm_in_training_has_a_mean_and_a_variance_of_every_frame_position() -> None:
    norm, signal = FrameNorm(7, eps=1e-3), 5 + 3 * draw_numbers(1, 7, 4, 6)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    expected = functional.batch_norm(
        signal.permute(1, 0, 2), None, None, norm.weight, norm.bias, training=True, eps=1e-3
    )
    torch.testing.assert_close(norm(signal), expected.permute(1, 0, 2), rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_norm_estimate_over_batches_equals_statistics_over_all_chunks_at_once(sizes: list[int]) -> None:
    norm = FrameNorm(7, eps=1e-3)
    batches = [2 + draw_numbers(index, 7, size, 6) for index, size in enumerate(sizes)]
    norm(100 * batches[0])  # before the estimate: does not count
    norm.begin_estimate()
    for batch in batches:
        norm(batch)
    norm.end_estimate()
    variance, mean = torch.var_mean(torch.cat(batches, dim=1), dim=(1, 2), correction=0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_variance, variance, rtol=1e-4, atol=1e-5)
    norm(100 * batches[0])  # nor does what comes after
    norm.end_estimate()
    torch.testing.assert_close(norm.running_mean, mean)


def test_second_norm_estimate_forgets_the_first() -> None:
    norm, first, second = FrameNorm(7, eps=1e-3), draw_numbers(1, 7, 2, 6), draw_numbers(2, 7, 3, 6)
    for batch in (first, second):
        norm.begin_estimate()
        norm(batch)
        norm.end_estimate()
    torch.testing.assert_close(norm.running_mean, second.mean(dim=(1, 2)))


@pytest.mark.parametrize("unbiased", [False, True])
def test_norm_with_a_momentum_follows_the_batches_as_torch_s_batch_norm_does(unbiased: bool) -> None:
    norm = FrameNorm(7, eps=1e-3, momentum=0.1, unbiased=unbiased)
    reference = nn.BatchNorm2d(7, eps=1e-3, momentum=0.1)
    for seed in range(3):
        signal = 5 + 3 * draw_numbers(seed, 7, 2, 6)
        image = signal.permute(1, 0, 2)[..., None]
        torch.testing.assert_close(norm(signal), reference(image)[..., 0].permute(1, 0, 2))
    torch.testing.assert_close(norm.running_mean, reference.running_mean)
    # Twelve numbers a frame position: torch divides by eleven. The start, a variance of 1, is shared.
    start = 0.9**3
    scale = 1.0 if unbiased else 11 / 12
    expected = start + (reference.running_var - start) * scale
    torch.testing.assert_close(norm.running_variance, expected)


def test_norm_that_follows_no_batch_keeps_its_running_values_in_training() -> None:
    norm = FrameNorm(7, eps=1e-3)
    norm(5 + draw_numbers(1, 7, 2, 6))
    torch.testing.assert_close(norm.running_mean, torch.zeros(7))
