"""Losses and gradients of a step: right ones pass, planted faults fail."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hpo.bench import boundary, numbers
from hpo.bench.boundary import check_boundary_step
from hpo.bench.line import Line
from hpo.bench.numbers import Step, check_step, compared, relative_error, turn
from hpo.bench.setting import Setting
from model.data.chunks import Chunks, ChunkSource
from model.training.boundary.slot import BoundarySlot
from model.training.training_stack import TrainingStack


def verdicts(lines: list[Line]) -> dict[str, str]:
    return {line.name.rpartition(" ")[2]: line.verdict for line in lines}


def changed_gradients(change: Callable[[torch.Tensor], None]) -> Callable[..., torch.Tensor]:
    """A step after which the gradients of an array, not of a trial alone, are changed."""
    step = TrainingStack.step

    def wrong(stack: TrainingStack, chunks: Chunks) -> torch.Tensor:
        losses = step(stack, chunks)
        if len(stack.gradients) > 1:
            change(stack.gradients)
        return losses

    return wrong


def test_an_array_of_mixed_trials_computes_what_they_compute_alone(setting: Setting) -> None:
    lines = list(check_step(setting))
    assert verdicts(lines) == {"float32": "PASS", "bfloat16": "PASS"}, lines


def test_gradients_that_are_wrong_in_one_weight_fail(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "precisions_of", lambda device: ("float32",))
    for change in (lambda rows: rows[2, :64].mul_(1.01), lambda rows: rows[3, :64].fill_(torch.nan)):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingStack, "step", changed_gradients(change))
            assert verdicts(list(check_step(setting))) == {"float32": "FAIL"}


def test_gradients_in_bfloat16_that_point_elsewhere_or_are_too_long_fail(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "precisions_of", lambda device: ("bfloat16",))
    half = setting.train.dims * 32
    for change in (lambda rows: rows[1].mul_(1.1), lambda rows: rows[1, half:].neg_()):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingStack, "step", changed_gradients(change))
            assert verdicts(list(check_step(setting))) == {"bfloat16": "FAIL"}


def test_kink_in_one_batch_is_forgiven_and_an_error_in_all_is_not() -> None:
    right = Step(torch.ones(2), {"w": torch.ones(4), "b": torch.ones(4)})
    kinked = Step(torch.ones(2), {"w": torch.ones(4), "b": 1.01 * torch.ones(4)})
    expected = [[right, right]] * 2
    assert compared("", "float32", [[kinked, right], [right, kinked]], expected).verdict == "PASS"
    assert compared("", "float32", [[right, kinked], [right, kinked]], expected).verdict == "FAIL"


def test_padding_chunks_that_count_fail(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = ChunkSource.cut
    monkeypatch.setattr(numbers, "precisions_of", lambda device: ("float32",))
    monkeypatch.setattr(ChunkSource, "cut", lambda source, place, *, padded: cut(source, place, padded=False))
    assert verdicts(list(check_step(setting))) == {"float32": "FAIL"}


def test_no_number_is_no_small_error() -> None:
    one = torch.ones(3)
    assert relative_error(one * torch.nan, one) == turn({"w": one * torch.nan}, {"w": one}) == torch.inf
    assert relative_error(one, one) == 0.0 and turn({"w": one}, {"w": one}) < 1e-12


def test_bmn_in_bfloat16_is_compared_on_a_processor_and_float32_is_not(setting: Setting) -> None:
    lines = list(check_boundary_step(setting))
    assert [line.verdict for line in lines] == ["not checked", "PASS"], lines


def test_wrong_gradients_of_bmn_fail(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary, "precisions_of", lambda device: ("bfloat16",))
    step = BoundarySlot.step

    def wrong(slot: BoundarySlot, batch: Any, draws: Any, precision: str) -> Any:
        losses = step(slot, batch, draws, precision)  # type: ignore[arg-type]
        if precision == "bfloat16":
            for weight in slot.network.parameters():
                assert weight.grad is not None
                weight.grad *= 1.05
        return losses

    monkeypatch.setattr(BoundarySlot, "step", wrong)
    assert [line.verdict for line in check_boundary_step(setting)] == ["FAIL"]
