"""Layers of a stack of networks; the first dimension of every tensor is the slot, the second is time.

Convolutions are then products of matrices that are contiguous in memory, with one batch entry per slot, and
the batch normalisation of one frame position works on one row.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def pooled_frames(frames: int) -> int:
    """Return the number of frames after the three poolings of the spotting module."""
    for _ in range(3):
        frames = (frames - 3) // 2 + 1
    return frames


def linear(
    signal: Float[Tensor, "slots rows inputs"],
    weight: Float[Tensor, "slots outputs inputs"],
    bias: Float[Tensor, "slots outputs"],
) -> Float[Tensor, "slots rows outputs"]:
    """Apply one linear layer per slot, in the number format of the signal."""
    weight, bias = weight.to(signal.dtype), bias.to(signal.dtype)
    return torch.baddbmm(bias[:, None], signal, weight.transpose(1, 2))


def max_pool(
    signal: Float[Tensor, "slots frames batch channels"],
) -> Float[Tensor, "slots pooled batch channels"]:
    """Apply temporal max-pooling 3 x 1 with stride 2 x 1."""
    # Seen as an image one pixel wide with batch x channels colours, the memory is in channels-last order:
    # nothing is copied and the loop runs over contiguous numbers (50 times faster than over the channels).
    slots, frames, batch, channels = signal.shape
    image = signal.reshape(slots, frames, 1, batch * channels).permute(0, 3, 1, 2)
    pooled = functional.max_pool2d(image, kernel_size=(3, 1), stride=(2, 1))
    return pooled.permute(0, 2, 3, 1).reshape(slots, -1, batch, channels)


class _ThreeTaps(torch.autograd.Function):
    """Convolution of three taps as three matrix products that add up in place.

    Written out because autograd would copy the output for every slice it adds to: forward and backward take
    0.6 to 0.8 of the time of one wide product with shifted sums, forward alone half.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(signal, kernel)
        slots, frames, batch, channels = signal.shape
        rows = signal.reshape(slots, -1, channels)
        output = torch.baddbmm(bias[:, None], rows, kernel[:, 1])
        output[:, batch:].baddbmm_(rows[:, :-batch], kernel[:, 0])
        output[:, :-batch].baddbmm_(rows[:, batch:], kernel[:, 2])
        return output.view(slots, frames, batch, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        signal, kernel = ctx.saved_tensors
        slots, _, batch, channels = signal.shape
        rows = signal.reshape(slots, -1, channels)
        slope = gradient.reshape(slots, -1, gradient.shape[-1])
        before, here, after = kernel.transpose(2, 3).unbind(1)
        to_signal = torch.bmm(slope, here)
        to_signal[:, :-batch].baddbmm_(slope[:, batch:], before)
        to_signal[:, batch:].baddbmm_(slope[:, :-batch], after)
        turned = rows.transpose(1, 2)
        to_kernel = [
            torch.bmm(turned[..., :-batch], slope[:, batch:]),
            torch.bmm(turned, slope),
            torch.bmm(turned[..., batch:], slope[:, :-batch]),
        ]
        to_bias = slope.float().sum(dim=1).to(slope.dtype)
        return to_signal.view_as(signal), torch.stack(to_kernel, dim=1), to_bias


def convolve_three_taps(
    signal: Float[Tensor, "slots frames batch channels"],
    kernel: Float[Tensor, "slots 3 channels outputs"],
    bias: Float[Tensor, "slots outputs"],
) -> Float[Tensor, "slots frames batch outputs"]:
    """Convolve over time with three taps, zero-padded, in the number format of the signal."""
    kernel, bias = kernel.to(signal.dtype), bias.to(signal.dtype)
    output: Tensor = _ThreeTaps.apply(signal, kernel, bias)  # type: ignore[no-untyped-call]
    return output


def frame_statistics(
    signal: Float[Tensor, "slots frames batch channels"],
    counted: Float[Tensor, "*slots 1 batch_or_1 channels_or_1"] | None,
) -> tuple[Float[Tensor, "slots frames"], Float[Tensor, "slots frames"]]:
    """Compute mean and (biased) variance of every frame position, over the batch and all channels.

    Args:
        signal: Signal to normalise.
        counted: 1 for numbers that count and 0 for padding; None: all numbers count.
    """
    if counted is None:
        mean = signal.mean(dim=(2, 3), keepdim=True)
        # ``torch.var_mean`` takes 15 times as long on a processor.
        return mean[..., 0, 0], (signal - mean).square().mean(dim=(2, 3))
    weight = counted / counted.expand(len(signal), 1, *signal.shape[2:]).sum(dim=(2, 3), keepdim=True)
    mean = (signal * weight).sum(dim=(2, 3), keepdim=True)
    variance = ((signal - mean).square() * weight).sum(dim=(2, 3))
    return mean[..., 0, 0], variance


def normalise_frames(
    signal: Float[Tensor, "slots frames batch channels"],
    mean: Float[Tensor, "slots frames"],
    variance: Float[Tensor, "slots frames"],
    weight: Float[Tensor, "slots frames"],
    bias: Float[Tensor, "slots frames"],
    *,
    eps: float,
) -> Float[Tensor, "slots frames batch channels"]:
    """Apply batch normalisation with one mean and variance per frame position, as in both published codes."""
    scale = weight * torch.rsqrt(variance + eps)
    shift = bias - mean * scale
    return torch.addcmul(shift[..., None, None], signal, scale[..., None, None])
