"""Layers of the network: three-tap convolution, pooling and frame-wise normalisation, all time-first."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def pooled_frames(frames: int) -> int:
    """Frames that are left of ``frames`` after the three poolings of the spotting module."""
    for _ in range(3):
        frames = (frames - 3) // 2 + 1
    return frames


def max_pool(signal: Float[Tensor, "frames batch channels"]) -> Float[Tensor, "pooled batch channels"]:
    """Temporal max-pooling 3 x 1 with stride 2 x 1."""
    # Seen as an image one pixel wide with batch x channels colours, the memory is in channels-last order:
    # nothing is copied and the loop runs over contiguous numbers (50 times faster than over the channels).
    frames, batch, channels = signal.shape
    image = signal.reshape(1, frames, 1, batch * channels).permute(0, 3, 1, 2)
    pooled = functional.max_pool2d(image, kernel_size=(3, 1), stride=(2, 1))
    return pooled.permute(0, 2, 3, 1).reshape(-1, batch, channels)


class _ThreeTaps(torch.autograd.Function):
    """Convolution of three taps as three matrix products that add up in place.

    Written out because autograd would copy the output for every slice it adds to: forward and backward take
    0.6 to 0.8 of the time of one wide product with shifted sums, forward alone half.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(signal, kernel)
        frames, batch, channels = signal.shape
        rows = signal.reshape(-1, channels)
        output = torch.addmm(bias, rows, kernel[1])
        output[batch:].addmm_(rows[:-batch], kernel[0])
        output[:-batch].addmm_(rows[batch:], kernel[2])
        return output.view(frames, batch, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        signal, kernel = ctx.saved_tensors
        batch, channels = signal.shape[1:]
        rows, slope = signal.reshape(-1, channels), gradient.reshape(-1, gradient.shape[-1])
        to_signal = slope @ kernel[1].T
        to_signal[:-batch].addmm_(slope[batch:], kernel[0].T)
        to_signal[batch:].addmm_(slope[:-batch], kernel[2].T)
        before, here, after = rows[:-batch].T @ slope[batch:], rows.T @ slope, rows[batch:].T @ slope[:-batch]
        to_bias = slope.float().sum(dim=0).to(slope.dtype)
        return to_signal.view_as(signal), torch.stack([before, here, after]), to_bias


class ShortConvolution(nn.Module):
    """A temporal convolution of three taps, zero-padded."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(3, channels, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, signal: Float[Tensor, "frames batch channels"]
    ) -> Float[Tensor, "frames batch outputs"]:
        """Convolve over time, in the number format of the signal."""
        kernel, bias = self.kernel.to(signal.dtype), self.bias.to(signal.dtype)
        output: Tensor = _ThreeTaps.apply(signal, kernel, bias)  # type: ignore[no-untyped-call]
        return output


class FrameNorm(nn.Module):
    """Batch normalisation with one mean and variance a frame position of the chunk.

    As in both published codes: statistics run over the batch and all features of a frame. Running values
    belong to evaluation only. With a ``momentum`` they follow the batches as in the published codes;
    without, ``begin_estimate`` and ``end_estimate`` set them from the chunks in between.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self, frames: int, *, eps: float, momentum: float | None = None, unbiased: bool = False
    ) -> None:
        super().__init__()
        self.eps, self.momentum, self.unbiased = eps, momentum, unbiased
        self.weight = nn.Parameter(torch.ones(frames))
        self.bias = nn.Parameter(torch.zeros(frames))
        self.register_buffer("running_mean", torch.zeros(frames))
        self.register_buffer("running_variance", torch.ones(frames))
        self._sums: list[Tensor] | None = None

    def forward(
        self, signal: Float[Tensor, "frames batch channels"]
    ) -> Float[Tensor, "frames batch channels"]:
        """Normalise every frame position."""
        if self.training:
            variance, mean = torch.var_mean(signal, dim=(1, 2), correction=0)
            if self._sums is not None:
                self._sums.append(torch.stack([mean, variance + mean.square()]) * signal.shape[1])
                self._chunks += signal.shape[1]
            elif self.momentum is not None:
                self._follow(mean.detach(), variance.detach(), signal[0].numel(), self.momentum)
        else:
            mean, variance = self.running_mean, self.running_variance
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul((self.bias - mean * scale)[:, None, None], signal, scale[:, None, None])

    def begin_estimate(self) -> None:
        """Start to collect statistics over the chunks that pass in training mode."""
        self._sums, self._chunks = [], 0

    def end_estimate(self) -> None:
        """Set the running values to the statistics of all chunks since ``begin_estimate``."""
        if self._sums:
            mean, square = torch.stack(self._sums).sum(dim=0) / self._chunks
            self.running_mean.copy_(mean)
            self.running_variance.copy_((square - mean.square()).clamp_min(0.0))
        self._sums = None

    @torch.no_grad()
    def _follow(
        self, mean: Float[Tensor, " frames"], variance: Float[Tensor, " frames"], numbers: int, share: float
    ) -> None:
        """Move the running values a ``share`` of the way to those of ``numbers`` values a frame."""
        if self.unbiased:
            variance = variance * (numbers / max(numbers - 1, 1))
        self.running_mean.lerp_(mean, share)
        self.running_variance.lerp_(variance, share)
