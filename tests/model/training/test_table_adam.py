import pytest
import torch

from model.training.table_adam import TableAdam

RATES, EPS, TAKEN = [1e-3, 2e-3, 1e-4, 1e-2], [1e-8, 1e-8, 1e-7, 1e-8], [0, 5, 0, 700]


def table_of(rows: int, generator: torch.Generator) -> TableAdam:
    adam = TableAdam(
        torch.randn(rows, 1000, generator=generator),
        torch.zeros(rows, 1000),
        torch.tensor(RATES[:rows]),
        EPS[:rows],
    )
    adam.set_taken(TAKEN[:rows])
    return adam


def test_rows_move_as_each_would_move_in_adam_of_its_own() -> None:
    adam = table_of(4, torch.Generator().manual_seed(0))
    rows = [torch.nn.Parameter(row.clone()) for row in adam._table]
    own = [
        torch.optim.Adam([row], lr=rate, eps=eps, fused=True)
        for row, rate, eps in zip(rows, RATES, EPS, strict=True)
    ]
    for row, optimiser, taken in zip(rows, own, TAKEN, strict=True):
        optimiser.state[row] = {
            "step": torch.tensor(float(taken)),
            "exp_avg": torch.zeros(1000),
            "exp_avg_sq": torch.zeros(1000),
        }
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        gradients = torch.randn(4, 1000, generator=generator)
        adam._gradients.copy_(gradients)
        adam.step()
        for row, gradient, optimiser in zip(rows, gradients, own, strict=True):
            row.grad = gradient.clone()
            optimiser.step()
    for ours, theirs in zip(adam._table, rows, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)
    assert [int(taken) for taken in adam.taken] == [taken + 50 for taken in TAKEN]


@pytest.mark.parametrize("rows", [1, 3])
def test_rate_of_zero_moves_no_weight(rows: int) -> None:
    adam = table_of(rows, torch.Generator().manual_seed(0))
    adam._rates.zero_()
    before = adam._table.clone()
    adam._gradients.fill_(1.0)
    adam.step()
    assert torch.equal(adam._table, before) and adam.moments[0].abs().sum() > 0
