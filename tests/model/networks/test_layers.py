import pytest
import torch
from tensors import draw_numbers
from torch.nn import functional

from model.networks.layers import (
    convolve_three_taps,
    frame_statistics,
    linear,
    max_pool,
    normalise_frames,
)


@pytest.mark.parametrize("slots", [1, 3])
def test_three_taps_and_their_gradients_are_those_of_a_zero_padded_convolution(slots: int) -> None:
    signal, kernel = draw_numbers(3, slots, 9, 2, 4), draw_numbers(1, slots, 3, 4, 5)
    bias, weight = draw_numbers(2, slots, 5), draw_numbers(4, slots, 9, 2, 5)
    inputs = [tensor.requires_grad_() for tensor in (signal, kernel, bias)]
    expected = torch.stack(
        [
            functional.conv1d(
                signal[slot].permute(1, 2, 0), kernel[slot].permute(2, 1, 0), bias[slot], padding=1
            ).permute(2, 0, 1)
            for slot in range(slots)
        ]
    )
    output = convolve_three_taps(signal, kernel, bias)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    wanted = torch.autograd.grad((expected * weight).sum(), inputs)
    computed = torch.autograd.grad((output * weight).sum(), inputs)
    for ours, theirs in zip(computed, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_linear_layer_is_one_a_slot() -> None:
    signal, weight, bias = draw_numbers(1, 2, 7, 3), draw_numbers(2, 2, 4, 3), draw_numbers(3, 2, 4)
    expected = [functional.linear(signal[slot], weight[slot], bias[slot]) for slot in range(2)]
    torch.testing.assert_close(linear(signal, weight, bias), torch.stack(expected))


def test_pooling_takes_the_largest_of_three_frames_of_every_channel() -> None:
    signal = draw_numbers(1, 2, 8, 3, 4)
    windows = [signal[:, first : first + 3].amax(dim=1) for first in (0, 2, 4)]
    torch.testing.assert_close(max_pool(signal), torch.stack(windows, dim=1))


def test_statistics_and_normalisation_are_those_of_every_frame_position() -> None:
    signal, weight, bias = 5 + 3 * draw_numbers(1, 1, 7, 4, 6), draw_numbers(1, 1, 7), draw_numbers(2, 1, 7)
    expected = functional.batch_norm(
        signal[0].permute(1, 0, 2), None, None, weight[0], bias[0], training=True, eps=1e-3
    )
    mean, variance = frame_statistics(signal, None)
    normal = normalise_frames(signal, mean, variance, weight, bias, eps=1e-3)
    torch.testing.assert_close(normal[0], expected.permute(1, 0, 2), rtol=1e-4, atol=1e-5)


def test_padding_does_not_count_in_statistics() -> None:
    signal = 5 + 3 * draw_numbers(1, 2, 7, 4, 6)
    counted = torch.ones(2, 1, 4, 6)
    counted[0, :, 3:] = 0  # a chunk less
    counted[1, :, :, 4:] = 0  # two channels less
    mean, variance = frame_statistics(signal, counted)
    for slot, own in enumerate((signal[:1, :, :3], signal[1:, :, :, :4])):
        expected_mean, expected_variance = frame_statistics(own, None)
        torch.testing.assert_close(mean[slot], expected_mean[0])
        torch.testing.assert_close(variance[slot], expected_variance[0])
