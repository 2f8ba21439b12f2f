"""Traffic: an hour of speeds on every road of a small city, from the last hour, the road net and the time of day.

    last readings, 0 where a sensor is silent         the next ones, each made from the one before
    52  48   0  31  29   ...  a jam moves upstream  ▸  27  24  22  25  33  38

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    kernel_adjacency      how close two sensors are by road: exp(-d^2 / sigma^2)
    DiffusionConvolution  what drivers meet downstream, and what comes from upstream, some roads far
    GatedBlock            now and a while ago, through a gate; then along the roads; added to what was there
    average_day           the forecast to beat, learnt from training days alone
    masked_errors         MAE and MAPE at each horizon, where a sensor has spoken
    route                 every hour to its two best experts, and on to the next where one is full
    roll_out              a forecast of several steps, on its own forecasts

`Forecaster` and `fit` are given, and complete: there is nothing to write in them.

Letters in shapes: B windows, T steps of a window, S steps to forecast, N sensors, F features, H hidden units, K roads in
a row, E experts, D slots of a day, L readings in a row, C features of the clock. Readings are speeds in km/h, and 0 says
that there was none. Where nothing else is said, results have the dtype of their arguments or weights. Leave every argument
as it was. The names of layers are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn


def kernel_adjacency(distances: Tensor, threshold: float) -> Tensor:
    """exp(-distance^2 / sigma^2) for each pair of sensors; 0 where no road leads or where that is below the threshold.

    sigma is the standard deviation of the distances that are there: all finite entries, the zeros of the diagonal among
    them, and a plain mean of squared deviations (divided by their number). At least two of them differ.

    distances (N, N)  [i, j] from sensor i to sensor j with the traffic, in any unit; inf where no road leads; not symmetric
    threshold         below 1; may be 0

    Returns the weights of a directed graph, 1 on the diagonal; the unit of distances does not matter.
    adjacency (N, N)
    """
    # BEGIN SOLUTION: sigma from the finite distances, then the kernel, then the threshold
    sigma = distances[distances.isfinite()].std(correction=0)
    weights = torch.exp(-((distances / sigma) ** 2))
    return torch.where(weights < threshold, 0.0, weights)
    # END SOLUTION


class DiffusionConvolution(nn.Module):
    """One linear map of what stands here, and of what 1 to K steps along the roads bring, with the traffic and against it.

    With adjacency A, ahead = A with every row divided by its sum: row i averages over where the traffic at i goes next.
    With A transposed, behind = its rows divided by theirs: row i averages over where the traffic at i has come from. A row
    whose sum is 0 stays 0.

    mix = nn.Linear((2 K + 1) F, H), on the features of x, ahead x, ..., ahead^K x, behind x, ..., behind^K x in this order
    """

    def __init__(self, features: int, outputs: int, hops: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the layer for F = features, H = outputs and K = hops, which may be 0, of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: one layer of this dtype
        self.hops = hops
        self.mix = nn.Linear((2 * hops + 1) * features, outputs, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Diffuse along the roads, and mix.

        x (B, T, N, F)    features of each sensor at each step
        adjacency (N, N)  weights of the roads from i to j, at least 0

        Returns new features.
        mixed (B, T, N, H)
        """
        # BEGIN SOLUTION: two matrices of averages; K steps along each; all of it side by side
        parts = [x]
        for roads in (adjacency, adjacency.T):
            sums = roads.sum(1, keepdim=True)
            walk = roads / torch.where(sums > 0, sums, 1.0)
            here = x
            for _ in range(self.hops):
                here = walk @ here
                parts.append(here)
        return self.mix(torch.cat(parts, dim=-1))
        # END SOLUTION


class GatedBlock(nn.Module):
    """Two moments through a gate, then the roads, then relu, then the later moment is added.

    gate = nn.Linear(2 H, 2 H)                    on the features of x[t - dilation] and x[t] in this order; its first H
                                                  outputs, times the sigmoid of its last H, are `passed`
    diffusion = DiffusionConvolution(H, H, hops)  on `passed`; the block gives relu(diffusion(passed)) + x[t]
    """

    def __init__(self, hidden_size: int, hops: int, dilation: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for H = hidden_size and K = hops, of this dtype; dilation is at least 1."""
        super().__init__()
        # BEGIN SOLUTION: two layers of this dtype, and the dilation
        self.dilation = dilation
        self.gate = nn.Linear(2 * hidden_size, 2 * hidden_size, dtype=dtype)
        self.diffusion = DiffusionConvolution(hidden_size, hidden_size, hops, dtype)
        # END SOLUTION

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Hear now and a while ago; the first `dilation` steps have no while ago, and give nothing.

        x (B, T, N, H)    more steps than the dilation
        adjacency (N, N)  weights of the roads

        Returns T - dilation steps, the last of them made of the last of x.
        block (B, T - dilation, N, H)
        """
        # BEGIN SOLUTION: pair each step with the one before it, gate, diffuse, add
        now = x[:, self.dilation :]
        value, gate = self.gate(torch.cat([x[:, : -self.dilation], now], dim=-1)).chunk(2, dim=-1)
        return self.diffusion(value * gate.sigmoid(), adjacency).relu() + now
        # END SOLUTION


def average_day(readings: Tensor, slots: int, train: int) -> Tensor:
    """The mean reading of each sensor in each slot of the day, over the first `train` steps and the readings that are there.

    readings (L, N)  speeds, 0 where there is none; step t stands in slot t % D
    slots            D, at least 1
    train            how many steps are for training, the first ones; each sensor has spoken in one of them at least

    Returns the average day; where a sensor never spoke in a slot, the mean of all its training readings stands there.
    usual (D, N)
    """
    # BEGIN SOLUTION: sums and counts for each slot, of readings and of what was read
    past = readings[:train]
    slot = torch.arange(len(past)) % slots
    sums = past.new_zeros(slots, past.shape[1]).index_add(0, slot, past)
    counts = past.new_zeros(slots, past.shape[1]).index_add(0, slot, (past != 0).to(past.dtype))
    return torch.where(counts > 0, sums / counts.clamp(min=1), past.sum(0) / (past != 0).sum(0))
    # END SOLUTION


def masked_errors(forecast: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """How far off, at each step ahead, over the windows and sensors whose true reading is there: where truth is not 0.

    forecast (B, S, N)  km/h
    truth (B, S, N)     km/h, 0 where there is none

    Returns (mae, mape); both are 0 for a step at which nothing was read. Gradients are finite everywhere, and 0 where truth is 0.
    mae (S,)   mean of |forecast - truth|, km/h
    mape (S,)  mean of |forecast - truth| / truth, in per cent
    """
    # BEGIN SOLUTION: put something harmless where nothing was read, before you divide by it
    read = truth != 0
    off = torch.where(read, forecast - truth, 0.0).abs()
    counts = read.sum((0, 2)).clamp(min=1)
    mape = (off / torch.where(read, truth, 1.0)).sum((0, 2)) / counts
    return off.sum((0, 2)) / counts, 100 * mape
    # END SOLUTION


def route(scores: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Send each row to two experts, and say how evenly that would go.

    Rows are served in their order. Each goes to the two experts with the highest scores among those that still have room;
    where a single one has room, to that one alone. A row takes one place of each expert that it goes to. Its weights are in
    the ratio of the exponentials of its scores there and sum to 1; elsewhere they are 0.

    balance = E * sum over experts of (share of the rows whose highest score it has) * (mean of its softmax over all E),
    whether there is room or not: 1 where all is even. Only the second factor has a gradient.

    scores (B, E)  of any size, no two alike in a row; at least two experts
    capacity       places of each expert; E * capacity is at least 2 B, so that everyone finds a place

    Returns (weights, balance).
    weights (B, E)
    balance ()
    """
    # BEGIN SOLUTION: row by row, who has room and who scores best; then a softmax over those that were chosen
    room = [capacity] * scores.shape[1]
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    for row, order in enumerate(scores.argsort(dim=1, descending=True).tolist()):
        for expert in [expert for expert in order if room[expert]][:2]:
            room[expert] -= 1
            chosen[row, expert] = True
    weights = scores.masked_fill(~chosen, -torch.inf).softmax(1)
    first = nn.functional.one_hot(scores.argmax(1), scores.shape[1]).to(scores.dtype).mean(0)
    return weights, scores.shape[1] * (first * scores.softmax(1).mean(0)).sum()
    # END SOLUTION


class Forecaster(nn.Module):
    """Given: two blocks read the window, and experts, chosen by the clock, turn what they found into the next reading."""

    def __init__(
        self, hidden_size: int, hops: int, experts: int, clock: int, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.lift = nn.Linear(2, hidden_size, dtype=dtype)
        self.near = GatedBlock(hidden_size, hops, 1, dtype)
        self.far = GatedBlock(hidden_size, hops, 2, dtype)
        self.router = nn.Linear(clock, experts, dtype=dtype)
        self.experts = nn.Linear(hidden_size, experts, dtype=dtype)

    def forward(self, window: Tensor, usual: Tensor, clock: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor]:
        """One step ahead, in training with experts that hold a quarter more than their share.

        window (B, T, N)     readings, T at least 4, 0 where there is none
        usual (B, T + 1, N)  the average day at these steps and at the next
        clock (B, C)         the time of the next step
        adjacency (N, N)     weights of the roads

        Returns (next, balance).
        next (B, N)
        balance ()
        """
        read = window != 0
        unusual = torch.where(read, window - usual[:, :-1], 0.0) / 10  # tens of km/h
        x = self.lift(torch.stack([unusual, read.to(unusual.dtype)], dim=-1))
        x = self.far(self.near(x, adjacency), adjacency)[:, -1]
        batch, experts = len(window), self.experts.out_features
        weights, balance = route(self.router(clock), -(-5 * batch // (2 * experts)) if self.training else batch)
        return usual[:, -1] + 10 * (self.experts(x) * weights[:, None]).sum(-1), balance


def roll_out(
    model: Forecaster, window: Tensor, usual: Tensor, clock: Tensor, adjacency: Tensor
) -> tuple[Tensor, Tensor]:
    """Forecast S steps: each forecast is the last reading of the next window, whose oldest one leaves.

    The model gives the step after its window. It wants the average day at the steps of its window and at that step, and the
    clock of that step. Gradients reach through all steps.

    model                a Forecaster
    window (B, T, N)     the last readings
    usual (B, T + S, N)  the average day, at the steps of the window and at those to forecast
    clock (B, T + S, C)  their times
    adjacency (N, N)     weights of the roads

    Returns (forecasts, balance), the first forecast being that of the step after the window.
    forecasts (B, S, N)
    balance ()           the mean over the S steps
    """
    # BEGIN SOLUTION: ask, note the answer, move the window by one; mind which steps usual and clock are of
    length = window.shape[1]
    forecasts, balances = [], []
    for step in range(usual.shape[1] - length):
        after = step + length
        forecast, balance = model(window, usual[:, step : after + 1], clock[:, after], adjacency)
        window = torch.cat([window[:, 1:], forecast[:, None]], dim=1)
        forecasts.append(forecast)
        balances.append(balance)
    return torch.stack(forecasts, dim=1), torch.stack(balances).mean()
    # END SOLUTION


def fit(
    model: Forecaster,
    readings: Tensor,
    usual: Tensor,
    clock: Tensor,
    adjacency: Tensor,
    starts: Tensor,
    length: int,
    ahead: int,
    learning_rate: float,
) -> list[float]:
    """Given: train the model in place with Adam on forecasts of `ahead` steps, and return the loss before each step.

    readings (L, N)    speeds
    usual (D, N)       the average day
    clock (D, C)       its times
    adjacency (N, N)   weights of the roads
    starts (steps, B)  int64, where the windows of each batch begin; a window has `length` readings
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for batch in starts:
        at = batch[:, None] + torch.arange(length + ahead)
        slots = at % len(usual)
        forecasts, balance = roll_out(model, readings[at[:, :length]], usual[slots], clock[slots], adjacency)
        loss = masked_errors(forecasts, readings[at[:, length:]])[0].mean() + 0.1 * balance
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
