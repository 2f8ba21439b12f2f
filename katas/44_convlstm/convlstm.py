"""ConvLSTM: forecasting maps of the sea, each day from the day before.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    anomalies       temperatures as departures from what is usual at each place, by the training days alone
    convlstm_step   one step: an LSTM whose state is a stack of maps, and whose weights are filters
    ConvLSTM        layers of it, over whole sequences
    Forecaster      one stack reads the past, another writes the future, each day from its own last forecast
    sea_loss        squared errors, by how much sea there is at each place
    skill           how much better than tomorrow-as-today, at each lead time

Letters in shapes: N sequences, T days of the past, S days of the future, M days in all, C fields (temperature, height,
...), Y rows, X columns, H hidden maps of a layer, K rows and columns of a filter (odd), L layers.
Results have the dtype of their arguments, Python floats apart. Leave every argument as it was. Gradients flow through
all but anomalies and skill, which nobody differentiates.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = tuple[Tensor, Tensor]


def anomalies(fields: Tensor, sea: Tensor, training: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take off what is usual at each place, and divide by how much a field varies; land becomes 0.

    fields (M, C, Y, X)     one map of each field per day; anything, NaN too, on land
    sea (Y, X)              bool, True where there is water
    training                only the first so many days (1 to M) decide what is usual

    Returns (scaled, usual, spread).
    scaled (M, C, Y, X)     (fields - usual) / spread on all M days; 0 on land
    usual (C, Y, X)         mean of the training days at each place; 0 on land
    spread (C,)             root of the mean square of fields - usual, over training days and sea; 1 where that is 0
    """
    raise NotImplementedError("anomalies: first give land a number, then take means over the training days")


def convlstm_step(x: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor, peephole: Tensor) -> State:
    """Take one step with every sequence of the batch.

    x (N, C, Y, X)            input maps of this step; may be a view that is not contiguous
    h (N, H, Y, X)            hidden maps before the step
    c (N, H, Y, X)            cell maps before the step
    weight (4H, C + H, K, K)  filters over x and h, in this order: H each for the gates i, f, g, o, in this order
    bias (4H,)                one number per filter
    peephole (3, H)           how i and f see the old c, and o the new c: one number per gate and hidden map

    Maps keep their size: beyond the edge all is 0.

    Returns (h, c) after the step, of the same shapes.
    """
    raise NotImplementedError("convlstm_step: one convolution over x and h gives the pre-activations of all four gates")


class ConvLSTM(nn.Module):
    """L layers: each reads the hidden maps of the one below it at the same step, the first reads the input.

    The parameters are these three for each layer l = 0 ... L - 1, under these names, and no others:

    convs.l.weight (4H, C + H, K, K)  as in convlstm_step; C is the H of the layer below; drawn as nn.Conv2d draws it
    convs.l.bias (4H,)                likewise
    peepholes.l (3, H)                as in convlstm_step; starts at 0
    """

    def __init__(self, inputs: int, hidden: list[int], kernel: int = 3, dtype: torch.dtype = torch.float32) -> None:
        """Make the parameters: C = inputs in the first layer, H = hidden[l] in layer l, K = kernel."""
        super().__init__()
        raise NotImplementedError("ConvLSTM.__init__: an nn.ModuleList of convolutions and an nn.ParameterList")

    def forward(self, x: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Run all layers over all steps.

        x (N, T, C, Y, X)        inputs, batch first
        states                   (h, c) of each layer before the first step, the lowest first; None: all zero

        Returns (outputs, states).
        outputs (N, T, H, Y, X)  hidden maps of the top layer after each step
        states                   (h, c) of each layer after the last step, as a list of pairs
        """
        raise NotImplementedError("ConvLSTM.forward: layer by layer, each over all steps")


class Forecaster(nn.Module):
    """One stack reads the days that were, another starts from its states and writes those to come.

    The parameters are those of encoder and decoder, each a ConvLSTM of C + 1 inputs, these two, and no others:

    head.weight (C, H, 1, 1)  from the decoder's top hidden maps to the change of each field; starts at 0 ...
    head.bias (C,)            ... and so does this: a new forecaster says that all stays as it is
    """

    def __init__(self, fields: int, hidden: list[int], kernel: int = 3, dtype: torch.dtype = torch.float32) -> None:
        """Make the parameters for C = fields; hidden and kernel are those of both stacks."""
        super().__init__()
        raise NotImplementedError("Forecaster.__init__: two stacks and a convolution of one place")

    def forward(self, past: Tensor, sea: Tensor, steps: int, truth: Tensor | None = None) -> Tensor:
        """Forecast day after day.

        past (N, T, C, Y, X)      the days that were, 0 on land
        sea (Y, X)                bool; both stacks read it as one more map, 1 on sea and 0 on land, after the fields
        steps                     S, how many days to forecast
        truth (N, S, C, Y, X)     for training only, 0 on land; or None: then the decoder reads its own forecasts

        The encoder reads the past from zero states. The decoder goes on from its states and reads the last day of the
        past, then its forecast of each day; with truth, the true day in place of its forecast. What it read
        plus the change that the head says, and 0 on land, is the forecast of the next day.

        Returns what is said of each day.
        forecast (N, S, C, Y, X)  0 on land
        """
        raise NotImplementedError("Forecaster.forward: read the past, then step by step: day, decoder, head, next day")


def sea_loss(forecast: Tensor, truth: Tensor, area: Tensor) -> Tensor:
    """Mean of the squared errors, weighted by area, over sequences, days and fields too.

    forecast (N, S, C, Y, X)  what was said
    truth (N, S, C, Y, X)     what came; anything, NaN too, on land
    area (Y, X)               how much sea there is at each place, 0 on land

    Returns the mean; what stands on land reaches neither it nor any gradient.
    loss ()                   one number
    """
    raise NotImplementedError("sea_loss: errors where there is sea, and the mean by area")


def skill(model: Forecaster, past: Tensor, future: Tensor, area: Tensor, piece: int) -> list[float]:
    """How much better than persistence (every day as the last one of the past) the forecasts are, at each lead time.

    past (N, T, C, Y, X)      the days that were, 0 on land
    future (N, S, C, Y, X)    the days that came; anything, NaN too, on land
    area (Y, X)               how much sea there is at each place, 0 on land
    piece                     sequences that are forecast at a time; the skill is that of all together

    The model forecasts from the past alone. Persistence errs somewhere on every day.

    Returns for each of the S days, 1 - squared errors of the forecast / squared errors of persistence, each weighted by
    area and summed over all sequences, fields and places; as Python floats.
    """
    raise NotImplementedError("skill: two sums per day over all pieces, and one division at the end")


def fit(
    model: Forecaster,
    past: Tensor,
    future: Tensor,
    area: Tensor,
    batches: Tensor,
    learning_rates: list[float],
    forced: int = 0,
) -> list[float]:
    """Given: train the model in place with Adam; the first `forced` steps read true days, the others own forecasts.

    past (M, T, C, Y, X), future (M, S, C, Y, X): all sequences; batches (B, N): which of them step b takes, at the rate
    learning_rates[b]. Returns the B losses, each before its update.
    """
    optimiser = torch.optim.Adam(model.parameters())
    losses = []
    for step, (rows, rate) in enumerate(zip(batches, learning_rates, strict=True)):
        truth = future[rows] if step < forced else None
        loss = sea_loss(model(past[rows], area > 0, future.shape[1], truth), future[rows], area)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        losses.append(loss.item())
    return losses
