"""A transformer that forecasts: the encoder of 2017, on numbers in place of words.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    positional_encoding  sines and cosines that say where in the series a step stands
    MultiHeadAttention   every step asks, every step answers, several questions at a time
    EncoderBlock         attention, then a small network; each is added to what came in, and then the sum is normalised
    Forecaster           numbers and positions in, blocks, and a forecast from the last step
    learning_rates       up to the peak in a few steps, then down: this network needs it
    fit                  train it

Letters in shapes: N series of T steps, S steps of a memory, D features of one step, E numbers inside, H heads, M units
of the small network, K values to forecast; W series in all, B training steps. Results have the dtype of their
arguments or weights. Leave every argument as it was. There is no mask and no dropout. The names of layers and parameters
are part of the task: the suite loads its own weights into them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def positional_encoding(steps: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """One row of waves for each step: fast ones in the first columns, ever slower ones to the right.

    steps             T, at least 1; the first step is step 0
    width             E, an even number, at least 2

    Returns the encoding, computed in this dtype or a wider one: for t = 0 ... T - 1 and i = 0 ... E / 2 - 1,
    column 2i holds sin(t / 10000 ** (2i / E)), and column 2i + 1 the cosine of the same angle.
    positions (T, E)  the same numbers whatever T is: row 3 stays row 3 in a longer series
    """
    # BEGIN SOLUTION: T times E / 2 angles; sines in even columns, cosines in odd ones
    waves = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(steps, dtype=torch.float64)[:, None] * waves
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(dtype)
    # END SOLUTION


class MultiHeadAttention(nn.Module):
    """Each step of x asks all steps of a memory, and takes from them the mean of their values that the answers weigh.

    query = nn.Linear(E, E)       of x; of its output, head 0 takes the first E / H numbers, head 1 the next E / H, ...
    key, value = nn.Linear(E, E)  of the memory, with the same heads
    out = nn.Linear(E, E)         mixes what the heads found, laid side by side in the same order
    """

    def __init__(self, width: int, heads: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the four layers for E = width and H = heads, which divides E, all of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: keep the number of heads and make the four layers
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, dtype=dtype) for _ in range(4))
        # END SOLUTION

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Let the steps of x look at those of the memory. Where both are the same, this is self-attention.

        A score is the product of a query and a key, divided by the square root of the numbers in one head, E / H; its
        weight is the softmax over the memory. Scores may be so large that their exponentials overflow.

        x (N, T, E)           who asks
        memory (N, S, E)      who answers; S need not be T

        Returns (y, weights); gradients flow through both.
        y (N, T, E)           what `out` makes of the heads; x is not added to it
        weights (N, H, T, S)  not negative; how step t of x weighs step s of the memory, with sum 1 over s
        """
        # BEGIN SOLUTION: project, split, score, scale, weigh, merge, mix

        def split(tensor: Tensor) -> Tensor:
            return tensor.unflatten(2, (self.heads, -1)).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(memory)), split(self.value(memory))
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights
        # END SOLUTION


class EncoderBlock(nn.Module):
    """norm1(x + attention), then norm2(that + network of that): the norms stand behind the sums, as in 2017.

    attention = MultiHeadAttention(E, H)
    norm1, norm2 = nn.LayerNorm(E)
    up = nn.Linear(E, M)    a ReLU follows
    down = nn.Linear(M, E)
    """

    def __init__(self, width: int, heads: int, hidden: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the five parts for E = width, H = heads and M = hidden, all of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: attention, two norms, two layers
        self.attention = MultiHeadAttention(width, heads, dtype)
        self.norm1, self.norm2 = nn.LayerNorm(width, dtype=dtype), nn.LayerNorm(width, dtype=dtype)
        self.up, self.down = nn.Linear(width, hidden, dtype=dtype), nn.Linear(hidden, width, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Let every step look at all steps of its own series, then let each think for itself.

        x (N, T, E)  T steps of each series

        Returns as many steps.
        y (N, T, E)  each of them normalised
        """
        # BEGIN SOLUTION: add and norm, add and norm
        seen, _ = self.attention(x, x)
        x = self.norm1(x + seen)
        return self.norm2(x + self.down(F.relu(self.up(x))))
        # END SOLUTION


class Forecaster(nn.Module):
    """head(the last step, after all blocks); the blocks read embed(series) + positions.

    embed = nn.Linear(D, E)
    blocks = nn.ModuleList of EncoderBlock(E, H, M)
    head = nn.Linear(E, K)
    """

    def __init__(
        self,
        features: int,
        width: int,
        heads: int,
        hidden: int,
        depth: int,
        horizon: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the parts for D = features, E = width, H = heads, M = hidden, `depth` blocks and K = horizon.

        All of this dtype. The positions are no parameters: nothing about them is learnt.
        """
        super().__init__()
        # BEGIN SOLUTION: a layer, a list of blocks, a layer
        self.embed = nn.Linear(features, width, dtype=dtype)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, hidden, dtype) for _ in range(depth))
        self.head = nn.Linear(width, horizon, dtype=dtype)
        # END SOLUTION

    def forward(self, series: Tensor) -> Tensor:
        """Forecast once per series, as real numbers.

        series (N, T, D)  what was seen; T is at least 1, has no upper bound, and may be another one in each call

        Returns the forecast.
        forecast (N, K)   the next K values
        """
        # BEGIN SOLUTION: embed, add positions once, all blocks, the head on one step
        x = self.embed(series)
        x = x + positional_encoding(x.shape[1], x.shape[2], x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, -1])
        # END SOLUTION


def learning_rates(steps: int, warmup: int, peak: float) -> list[float]:
    """The learning rate of every training step: a straight line up to the peak, then a straight line down.

    steps   B, at least 1
    warmup  from 1 to B: the number of the step that has the peak, if steps are numbered 1 ... B
    peak    the largest rate

    Step s has peak * s / warmup up to the peak, and peak * (B + 1 - s) / (B + 1 - warmup) from there on: the lines
    would reach 0 one step before the first and one step after the last. Returns a list of B Python floats.
    """
    # BEGIN SOLUTION: the smaller of two lines, for steps 1 to B
    last = steps + 1
    return [peak * min(step / warmup, (last - step) / (last - warmup)) for step in range(1, last)]
    # END SOLUTION


def fit(model: Forecaster, series: Tensor, targets: Tensor, batches: Tensor, rates: list[float]) -> list[float]:
    """Train the model in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

    series (W, T, D)  what was seen in each of W series
    targets (W, K)    what came next
    batches (B, N)    int64: step b trains on the rows batches[b] ...
    rates             ... and moves with the learning rate rates[b], a list of B Python floats

    Returns a list of B Python floats: the mean squared error of each step's batch, over all its N * K values, before
    that step's update.
    """
    # BEGIN SOLUTION: one optimiser; in each step its rate, loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters())
    losses = []
    for rows, rate in zip(batches, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = F.mse_loss(model(series[rows]), targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
