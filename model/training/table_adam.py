"""Adam for a table of weights: one row per trial, each with its own learning rate and number of steps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adam import adam

_BETAS = (0.9, 0.999)
"""Decay of Adam's two moments; torch's and Keras' default."""


class TableAdam:
    """Adam, with the weights, gradients and learning rates of all rows in device memory.

    PyTorch's fused function takes one learning rate per call. A table of one row is updated by one call. For
    more rows, one call at the rate 1 computes the moves of all rows, which are then scaled by their own
    rates: six launches instead of two per row.

    ``torch.optim.Adam`` calls the same function; creating one imports torch's compiler, which takes a new
    process longer than a small trial.
    """

    def __init__(
        self,
        table: Float[Tensor, "rows size"],
        gradients: Float[Tensor, "rows size"],
        rates: Float[Tensor, " rows"],
        eps: Sequence[float],
    ) -> None:
        """Keep references to the memory of the table, its gradients and the rates.

        Args:
            table: Weights, which ``step`` changes.
            gradients: Gradients, which ``step`` reads.
            rates: Learning rates, which ``step`` reads.
            eps: Epsilon of every row.
        """
        self._table, self._gradients, self._rates = table, gradients, rates
        self.moments = [torch.zeros_like(table) for _ in range(2)]
        """First and second moments."""
        self.taken = [torch.zeros((), device=table.device) for _ in eps]
        """Number of steps taken, of every row, in device memory so that a recorded step can count them."""
        self._rows_of = {value: [row for row, own in enumerate(eps) if own == value] for value in eps}
        self._moves = torch.zeros_like(table) if len(table) > 1 else None

    def set_taken(self, steps: Sequence[int]) -> None:
        """Set the numbers of steps taken."""
        for taken, count in zip(self.taken, steps, strict=True):
            taken.fill_(float(count))

    def step(self) -> None:
        """Change all rows by one step."""
        if self._moves is None:
            self._update(self._table, self._rates[0])
            return
        self._moves.zero_()
        self._update(self._moves, 1.0)
        self._table.addcmul_(self._moves, self._rates[:, None])

    def _update(self, table: Float[Tensor, "rows size"], rate: float | Float[Tensor, ""]) -> None:
        for eps, rows in self._rows_of.items():
            adam(
                [table[row] for row in rows],
                [self._gradients[row] for row in rows],
                [self.moments[0][row] for row in rows],
                [self.moments[1][row] for row in rows],
                [],
                [self.taken[row] for row in rows],
                fused=True,
                amsgrad=False,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                lr=rate,
                weight_decay=0.0,
                eps=eps,
                maximize=False,
            )
