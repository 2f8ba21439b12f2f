"""A year of tomorrows: a gated recurrent unit (GRU) that forecasts step after step, and a trial that is fair.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    scale           put the series in small units, having looked at its past alone
    windows         cut it into examples, none of which reaches into what is held out
    seasonal_naive  the forecast that every forecaster must beat, without any learning
    gru_step        one step: one gate decides what to reset, one what to keep
    gru             all steps of a batch of sequences
    GRUForecaster   weights to train; it reads the past, then lives on its own forecasts

Letters in shapes: L length of the series, N windows or sequences, T steps that are read, K steps that are forecast,
D features of one step, H hidden units. Results have the dtype of their arguments. Leave every argument as it was.
"""

import torch
from torch import Tensor, nn


def scale(series: Tensor, cut: int) -> tuple[Tensor, float, float]:
    """Shift and shrink the whole series by two numbers that its first `cut` values alone decide.

    series (L,)  what was measured, one value per time step; L at least 3
    cut          at least 3, at most L: series[:cut] is the past; what comes later is not known yet

    level is the mean of the past. unit is the standard deviation of the past's changes from each step to the next, of
    which there are cut - 1: divide by cut - 1, not by one fewer. (The standard deviation of a series that grows is
    mostly its growth; that of its changes is not.) The unit is never 0 here.

    Returns (scaled, level, unit). The two numbers may be floats or tensors of shape ().
    scaled (L,)  (series - level) / unit, past and future alike
    """
    raise NotImplementedError("scale: two numbers from series[:cut], then one line for the whole series")


def windows(series: Tensor, steps: int, horizon: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Cut out every example whose targets all lie in series[start:stop], in order of time, each one step later.

    series (L,)  one value per time step; L at least 2
    steps        T, at least 1: how many values an example reads
    horizon      K, at least 1: how many values it has to forecast, those that come right after
    start        from 0 to L: no target lies before it. What is read may: yesterday is known
    stop         from start to L: no target lies at it or beyond it

    At least one example fits; where start < T, the first one reads series[:T].

    Returns (x, y).
    x (N, T)     what each example reads
    y (N, K)     what comes next
    """
    raise NotImplementedError("windows: which index does the first target of the first example have, and of the last?")


def seasonal_naive(x: Tensor, horizon: int, period: int) -> Tensor:
    """Forecast that everything will be as it was one season ago.

    x (N, T)         what was seen
    horizon          K, at least 1; it may be longer than a season: the last season then comes again and again
    period           length of a season, from 1 to T; with a period of 1 this is the last value, repeated

    Returns the forecast.
    forecast (N, K)  one value per step
    """
    raise NotImplementedError("seasonal_naive: each step takes a value of the last season of x")


def gru_step(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """Take one step with every sequence of the batch. The reset gate acts after the matrix product, as in torch.

    x (N, D)      input of this step, of any size; may be a view that is not contiguous
    h (N, H)      hidden state before the step
    w_ih (3H, D)  input weights: H rows each for reset r, update z and candidate n, in this order
    w_hh (3H, H)  recurrent weights, rows in the same order
    b_ih (3H,)    biases that belong to w_ih, in the same order
    b_hh (3H,)    biases that belong to w_hh: both biases count, and r multiplies the last third of this one too

    Returns h after the step, of the same shape.
    """
    raise NotImplementedError("gru_step: the shares of x and of h in r, z and n, kept apart until r has acted")


def gru(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> tuple[Tensor, Tensor]:
    """Run every sequence of the batch from its first step to its last.

    x (N, T, D)        inputs, batch first
    h (N, H)           hidden state before the first step, not always zero
    w_ih, w_hh, b_ih, b_hh: as in gru_step

    Returns (outputs, h).
    outputs (N, T, H)  hidden state after each step
    h (N, H)           hidden state after the last step
    """
    raise NotImplementedError("gru: loop over the steps; each starts from the state that the one before it left")


class GRUForecaster(nn.Module):
    """Forecasts any number of steps: it says how much the next value differs from this one, believes it, and goes on.

    The parameters are these six, under these names, and no others, each drawn anew, uniformly from -1/sqrt(H) to 1/sqrt(H):

    w_ih (3H, 1)        as in gru_step, for one feature
    w_hh (3H, H)        as in gru_step
    b_ih (3H,)          as in gru_step
    b_hh (3H,)          as in gru_step
    head.weight (1, H)  from the hidden state to the change from this step to the next
    head.bias (1,)      likewise
    """

    def __init__(self, hidden_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the parameters for H = hidden_size, all of them of this dtype."""
        super().__init__()
        raise NotImplementedError("GRUForecaster.__init__: four nn.Parameters and one nn.Linear")

    def forward(self, x: Tensor, horizon: int) -> Tensor:
        """Read x from a zero state, then forecast.

        The GRU is never fed a value itself, only its distance from the last value of x: value - x[:, -1]. Once it has
        read x, each step does this: the new value is the value before it (at first x[:, -1]) plus head(h), and is
        then fed to the GRU in its turn.

        x (N, T)         what was seen, T at least 1
        horizon          K, at least 1

        forecast (N, K)  the values of the next K steps, real numbers in the units of x
        """
        raise NotImplementedError("GRUForecaster.forward: read x - origin; then head, add, keep, gru_step")

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """How wrong the forecasts are: the mean of their squared errors over all N * K values.

        The forecasts are those of forward, which sees x alone; y is only what they are compared with.

        x (N, T)  what was seen
        y (N, K)  what came next: real numbers, of any size and sign

        Returns a tensor of shape (), through which gradients flow.
        """
        raise NotImplementedError("GRUForecaster.loss: K steps of forward, and a loss for real numbers")
