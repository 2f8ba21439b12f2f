"""How warm will the sea be? Quantiles of the next months from a causal convolutional network, and a trial that is fair.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    pinball, crps            what a forecast of quantiles is trained on, and what it is scored by
    uncrossed                quantiles in their order, whatever the network says
    CausalConv, Block, TCN   dilated convolutions that never hear a later month
    anomalies, ahead, folds  the past alone decides the scale; what is to be forecast; rolling origins
    forecast, backtest       quantiles in degrees, by networks that were fitted before the months that they forecast
    calibration, coverage    do they keep their word, and how sure is that?

Letters in shapes: N series in a batch, T months, C channels, F filters, K taps of a kernel, H months ahead, Q quantiles, M
forecasts, B training steps, P months of a year (the period). The first month of every series is the first month of a year.
Results have the dtype of their arguments or weights. Leave every argument as it was, the model of fit aside. The names of
layers are part of the task: the suite loads its own weights into them.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def levels(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The Q = count levels (k + 1/2) / Q, each in the middle of its share: for five, 0.1, 0.3, 0.5, 0.7, 0.9. Given."""
    return (torch.arange(count, dtype=dtype) + 0.5) / count


def pinball(quantiles: Tensor, targets: Tensor, taus: Tensor) -> Tensor:
    """The loss whose best answer is the quantile of level tau: tau for each degree too low, 1 - tau for each too high.

    quantiles (..., Q)  what was forecast, for each level
    targets (...)       what it was
    taus (Q,)           levels between 0 and 1, in any order

    Returns the mean over all targets and levels, of shape ().
    """
    raise NotImplementedError("pinball: errors with one more axis, two slopes, one mean")


def crps(quantiles: Tensor, targets: Tensor) -> Tensor:
    """The continuous ranked probability score of every forecast: twice the mean of its pinball losses at levels(Q).

    quantiles (..., Q)  in their order, for the levels (k + 1/2) / Q
    targets (...)       what it was

    Returns one score per target, in the units of the targets. For one quantile, it is the absolute error.
    scores (...)        of the shape of targets
    """
    raise NotImplementedError("crps: as in pinball, with a mean over the last axis alone")


def uncrossed(raw: Tensor) -> Tensor:
    """Make Q numbers that cannot cross: the first as it is, each next one softplus(raw) = log(1 + exp(raw)) above the one before.

    raw (..., Q)  any numbers, of any size; Q is at least 1

    Returns quantiles, lowest first.
    quantiles (..., Q)
    """
    raise NotImplementedError("uncrossed: keep the first, add up the steps from it")


class CausalConv(nn.Conv1d):
    """y_t = bias + sum over taps k of weight_k x_(t - (K - 1 - k) dilation). The constructor is written for you.

    weight (F, C, K)  K taps, the oldest first; the last one hears month t itself
    bias (F,)         added at every month
    """

    def __init__(
        self, channels: int, filters: int, taps: int, dilation: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make weight and bias as torch draws them; self.dilation and self.kernel_size are tuples of one number."""
        super().__init__(channels, filters, taps, dilation=dilation, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Hear every month and those before it.

        x (N, C, T)  before its first month there are zeros

        Returns as many months; none hears a later one.
        y (N, F, T)
        """
        raise NotImplementedError(
            "CausalConv.forward: as many zeros on the left as the oldest tap reaches back, then torch's own"
        )


class Block(nn.Module):
    """ReLU(across(x) + ReLU(second(ReLU(first(x))))). The constructor is written for you.

    first = CausalConv(C, F, K, dilation)
    second = CausalConv(F, F, K, dilation)
    across = nn.Conv1d(C, F, 1), or nn.Identity() where C is F
    """

    def __init__(
        self, channels: int, filters: int, taps: int, dilation: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers, all of this dtype."""
        super().__init__()
        self.first = CausalConv(channels, filters, taps, dilation, dtype)
        self.second = CausalConv(filters, filters, taps, dilation, dtype)
        self.across = nn.Identity() if channels == filters else nn.Conv1d(channels, filters, 1, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """From x (N, C, T) to y (N, F, T), causal."""
        raise NotImplementedError("Block.forward: two convolutions, each with its ReLU; the way across; the last ReLU")


class TCN(nn.Module):
    """x -> blocks -> head -> uncrossed: at every month, Q quantiles of each of the next H months.

    blocks is an nn.ModuleList of `depth` Blocks with F filters; the first hears the C channels; block i has dilation 2 ** i
    head = nn.Conv1d(F, H * Q, 1); its output h * Q + q belongs to month h + 1 ahead and level q
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        taps: int,
        depth: int,
        horizons: int,
        count: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the layers for C = channels, F = filters, K = taps, H = horizons, Q = count, all of this dtype."""
        super().__init__()
        self.taps, self.horizons, self.count = taps, horizons, count
        raise NotImplementedError("TCN.__init__: blocks whose dilation doubles, and the head")

    def receptive_field(self) -> int:
        """How many months an output hears, its own and the oldest counted."""
        raise NotImplementedError("TCN.receptive_field: what do the two convolutions of each block add?")

    def forward(self, x: Tensor) -> Tensor:
        """Forecast from every month.

        x (N, C, T)             what is known month by month

        Returns quantiles of the months to come, lowest first.
        quantiles (N, T, H, Q)  those at [:, t, h] speak of month t + 1 + h, and hear x[:, :, : t + 1] alone
        """
        raise NotImplementedError("TCN.forward: blocks, head, its one axis cut in two, months to the front")


def anomalies(series: Tensor, origin: int, period: int) -> tuple[Tensor, Tensor, Tensor]:
    """How far each month is from what is usual for it, by numbers that the months before the origin alone decide.

    series (T,)  one value per month; month t is number t % P of its year
    origin       more than P, at most T: only series[:origin] is known
    period       P, months of a year

    usual holds the mean of each calendar month. unit is the root of the mean square of series - usual over all known months.

    Returns (scaled, usual, unit).
    scaled (T,)  (series - usual) / unit for all months, known or not
    usual (P,)   in the units of the series
    unit ()      likewise; it is never 0 here
    """
    raise NotImplementedError("anomalies: P means over known months, then one spread of what is left")


def ahead(series: Tensor, horizons: int) -> Tensor:
    """What a forecast from each month has to say: the next H months, wherever all of them are in the series.

    series (T,)      T is more than H
    horizons         H, at least 1

    targets (T - H, H)  row t holds months t + 1 to t + H
    """
    raise NotImplementedError("ahead: windows of H months; the first window begins one month later")


def folds(months: int, first: int, step: int, horizons: int) -> list[tuple[int, int]]:
    """Rolling origins: fit on what is known at an origin, forecast for `step` months, move the origin there, fit again.

    months    T, length of the series
    first     the first origin: that many months are known
    step      months from one origin to the next, at least 1
    horizons  H, at least 1

    A forecast that is made when t months are known speaks of months t to t + H - 1. All of these must be in the series.

    Returns a list of pairs of Python ints (origin, stop), none of them empty: forecasts of this fold are made when origin,
    origin + 1, ... stop - 1 months are known. Every t from first on, for which there are targets, is in exactly one fold.
    """
    raise NotImplementedError("folds: one more than the last t that has all its targets; origins from first up to it")


def inputs(scaled: Tensor, period: int) -> Tensor:
    """What the network hears of each month: its anomaly, and the season as a point on a circle. Given.

    scaled (T,)     anomalies
    x (1, 3, T)     anomaly, sine and cosine of 2 pi t / P
    """
    angles = torch.arange(len(scaled), dtype=scaled.dtype) * (2 * math.pi / period)
    return torch.stack([scaled, angles.sin(), angles.cos()])[None]


def fit(model: TCN, series: Tensor, origin: int, noise: Tensor, rate: float, period: int) -> list[float]:
    """Train the model in place by Adam on the months before the origin, its rate falling along a cosine. Given.

    series (T,)       all months; only series[:origin] is used
    noise (B, T)      added to the anomalies that are heard, in step b noise[b, : origin - H]: it keeps a net from learning by heart

    Returns a list of B Python floats.
    losses (B,)       pinball loss at each step, before that step's update
    """
    scaled, _, _ = anomalies(series[:origin], origin, period)
    x, targets = inputs(scaled, period)[..., : origin - model.horizons], ahead(scaled, model.horizons)
    taus = levels(model.count, series.dtype)
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, len(noise))
    losses = []
    for drawn in noise:
        heard = x.clone()
        heard[0, 0] += drawn[: x.shape[-1]]
        loss = pinball(model(heard)[0], targets, taus)
        adam.zero_grad()
        loss.backward()
        adam.step()
        falling.step()
        losses.append(loss.item())
    return losses


def forecast(model: TCN, series: Tensor, origin: int, stop: int, period: int) -> Tensor:
    """Quantiles in the units of the series, made as time goes on by a model that was fitted at the origin.

    series (T,)   all months; T is at least stop - 1
    origin, stop  a fold: row i is made when series[: origin + i] is known, for i from 0 to stop - origin - 1

    usual and unit are those of the origin for all rows: nobody fits again before the next origin. The network hears inputs(...)
    of all months that are known, from the first on.

    Returns no graph: quantiles that do not require grad.
    quantiles (stop - origin, H, Q)  those at [i, h] speak of month origin + i + h
    """
    raise NotImplementedError(
        "forecast: scale by the origin's numbers, one pass, the rows that count, and back to degrees"
    )


def backtest(
    model: TCN, series: Tensor, first: int, step: int, noise: Tensor, rate: float, period: int
) -> tuple[Tensor, Tensor]:
    """The trial: in each fold, a copy of the model as it came is fitted at the origin, and forecasts until the fold stops.

    series (T,)   all months
    first, step   as in folds
    noise (B, T)  as in fit, the same for each fold
    rate, period  as in fit

    Returns (quantiles, targets), of all folds in order of time; M forecasts, no graph. The model itself is left as it was.
    quantiles (M, H, Q)  in the units of the series
    targets (M, H)       what each of them is about
    """
    raise NotImplementedError(
        "backtest: for each fold a copy, fit, forecast; targets from ahead, whose row t - 1 belongs to t known months"
    )


def calibration(quantiles: Tensor, targets: Tensor) -> Tensor:
    """How often it came no higher than each quantile said: for each month ahead and level, near the level if all is well.

    quantiles (M, H, Q)  what was forecast
    targets (M, H)       what it was

    shares (H, Q)        share of the M targets that are at or below the quantile
    """
    raise NotImplementedError("calibration: compare, and take the mean over the forecasts")


def coverage(low: Tensor, high: Tensor, targets: Tensor, z: float = 1.96) -> tuple[float, float, float]:
    """How many targets lie between two quantiles, edges included, and how sure that is: Wilson's interval for the share.

    low (M,), high (M,)  the two quantiles of each forecast
    targets (M,)         what it was; M is at least 1
    z                    how many standard errors to either side, at least 0; 1.96 for 95 %

    Returns three Python floats (share, lower, upper), 0 <= lower <= share <= upper <= 1.
    """
    raise NotImplementedError("coverage: the share, then centre and half width of the page's formula")
