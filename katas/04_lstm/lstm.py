"""Long short-term memory: a recurrent network that can carry one fact across many steps.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    lstm_step       one step: four gates decide what to keep, what to write and what to show
    lstm            a whole batch of sequences, each of which ends at its own length
    LSTMClassifier  weights to train, and one answer per sequence

Letters in shapes: N sequences, T steps, D features of one step, H hidden units, K classes.
Results have the dtype of their arguments. Leave every argument as it was: gradients must flow through all of them.
"""

import torch
from torch import Tensor, nn


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """Take one step with every sequence of the batch.

    x (N, D)      input of this step; may be a view that is not contiguous
    h (N, H)      hidden state before the step: what the cell shows
    c (N, H)      cell state before the step: what the cell remembers
    w_ih (4H, D)  input weights: H rows each for the gates i, f, g, o, in this order
    w_hh (4H, H)  recurrent weights, rows in the same order
    b_ih (4H,)    biases that belong to w_ih, in the same order
    b_hh (4H,)    biases that belong to w_hh: both biases count

    Returns (h, c) after the step, of the same shapes.
    """
    raise NotImplementedError("lstm_step: start from the four gate pre-activations")


def lstm(
    x: Tensor, lengths: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run every sequence of the batch to its own end.

    x (N, T, D)        inputs, batch first; sequence n fills the first lengths[n] steps, the rest is padding
    lengths (N,)       int64, each from 1 to T, in any order
    h (N, H)           hidden state before the first step, not always zero
    c (N, H)           cell state before the first step, not always zero
    w_ih, w_hh, b_ih, b_hh: as in lstm_step

    Padding holds finite numbers of any kind, and they reach no result. From a sequence's end on its state is frozen.

    Returns (outputs, h, c).
    outputs (N, T, H)  hidden state after each step, zero on padding
    h (N, H)           hidden state after the last real step of each sequence
    c (N, H)           cell state after the last real step of each sequence
    """
    raise NotImplementedError("lstm: loop over the steps; only sequences that still run take the new state")


class LSTMClassifier(nn.Module):
    """Reads a sequence from a zero state, and answers once, from the hidden state after the last real step.

    The parameters are these six, under these names, and no others:

    w_ih (4H, D)        as in lstm_step; drawn uniformly between -1/sqrt(H) and 1/sqrt(H)
    w_hh (4H, H)        as in lstm_step; drawn likewise
    b_ih (4H,)          as in lstm_step ...
    b_hh (4H,)          ... and b_ih + b_hh starts as forget_bias in the forget gate and as 0 in the other three
    head.weight (K, H)  from the hidden state to the logits; drawn as nn.Linear draws it
    head.bias (K,)      likewise
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        classes: int,
        forget_bias: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the parameters for D = input_size, H = hidden_size and K = classes, all of them of this dtype."""
        super().__init__()
        raise NotImplementedError("LSTMClassifier.__init__: four nn.Parameters and one nn.Linear")

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Classify every sequence of the batch.

        x (N, T, D)    inputs, batch first, padded as in lstm
        lengths (N,)   int64, each from 1 to T, in any order

        Returns unnormalised scores: no softmax.
        logits (N, K)  one row per sequence
        """
        raise NotImplementedError("LSTMClassifier.forward: zero state, lstm, head")
