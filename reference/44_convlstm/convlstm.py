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
    # BEGIN SOLUTION: first give land a number, then take means over the training days
    fields = torch.where(sea, fields, 0.0)
    usual = fields[:training].mean(0)
    departures = torch.where(sea, fields - usual, 0.0)
    squares = departures[:training].square().sum((0, 2, 3)) / (training * sea.sum())
    spread = torch.where(squares > 0, squares, 1.0).sqrt()
    return departures / spread[:, None, None], usual, spread
    # END SOLUTION


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
    # BEGIN SOLUTION: one convolution over x and h gives the pre-activations of all four gates
    gates = F.conv2d(torch.cat([x, h], 1), weight, bias, padding=weight.shape[-1] // 2)
    i, f, g, o = gates.chunk(4, dim=1)
    see_i, see_f, see_o = peephole[:, :, None, None]
    old = c
    c = torch.sigmoid(f + see_f * old) * old + torch.sigmoid(i + see_i * old) * torch.tanh(g)
    h = torch.sigmoid(o + see_o * c) * torch.tanh(c)
    return h, c
    # END SOLUTION


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
        # BEGIN SOLUTION: an nn.ModuleList of convolutions and an nn.ParameterList
        below = [inputs, *hidden[:-1]]
        self.convs = nn.ModuleList(
            nn.Conv2d(maps + own, 4 * own, kernel, dtype=dtype) for maps, own in zip(below, hidden, strict=True)
        )
        self.peepholes = nn.ParameterList(torch.zeros(3, own, dtype=dtype) for own in hidden)
        # END SOLUTION

    def forward(self, x: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Run all layers over all steps.

        x (N, T, C, Y, X)        inputs, batch first
        states                   (h, c) of each layer before the first step, the lowest first; None: all zero

        Returns (outputs, states).
        outputs (N, T, H, Y, X)  hidden maps of the top layer after each step
        states                   (h, c) of each layer after the last step, as a list of pairs
        """
        # BEGIN SOLUTION: layer by layer, each over all steps
        if states is None:
            maps = [len(peephole.T) for peephole in self.peepholes]
            states = [(x.new_zeros(len(x), own, *x.shape[3:]),) * 2 for own in maps]
        last = []
        for conv, peephole, (h, c) in zip(self.convs, self.peepholes, states, strict=True):
            shown = []
            for t in range(x.shape[1]):
                h, c = convlstm_step(x[:, t], h, c, conv.weight, conv.bias, peephole)
                shown.append(h)
            x = torch.stack(shown, 1)
            last.append((h, c))
        return x, last
        # END SOLUTION


class Forecaster(nn.Module):
    """One stack reads the days that were, another starts from its states and writes those to come.

    The parameters are those of encoder and decoder, each a ConvLSTM of C + 1 inputs, these two, and no others:

    head.weight (C, H, 1, 1)  from the decoder's top hidden maps to the change of each field; starts at 0 ...
    head.bias (C,)            ... and so does this: a new forecaster says that all stays as it is
    """

    def __init__(self, fields: int, hidden: list[int], kernel: int = 3, dtype: torch.dtype = torch.float32) -> None:
        """Make the parameters for C = fields; hidden and kernel are those of both stacks."""
        super().__init__()
        # BEGIN SOLUTION: two stacks and a convolution of one place
        self.encoder = ConvLSTM(fields + 1, hidden, kernel, dtype)
        self.decoder = ConvLSTM(fields + 1, hidden, kernel, dtype)
        self.head = nn.Conv2d(hidden[-1], fields, 1, dtype=dtype)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # END SOLUTION

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
        # BEGIN SOLUTION: read the past, then step by step: day, decoder, head, next day
        water = sea.to(past.dtype).expand(len(past), 1, 1, *sea.shape)
        _, states = self.encoder(torch.cat([past, water.expand(-1, past.shape[1], -1, -1, -1)], 2))
        day, forecast = past[:, -1], []
        for s in range(steps):
            shown, states = self.decoder(torch.cat([day[:, None], water], 2), states)
            day = torch.where(sea, day + self.head(shown[:, 0]), 0.0)
            forecast.append(day)
            if truth is not None:
                day = truth[:, s]
        return torch.stack(forecast, 1)
        # END SOLUTION


def sea_loss(forecast: Tensor, truth: Tensor, area: Tensor) -> Tensor:
    """Mean of the squared errors, weighted by area, over sequences, days and fields too.

    forecast (N, S, C, Y, X)  what was said
    truth (N, S, C, Y, X)     what came; anything, NaN too, on land
    area (Y, X)               how much sea there is at each place, 0 on land

    Returns the mean; what stands on land reaches neither it nor any gradient.
    loss ()                   one number
    """
    # BEGIN SOLUTION: errors where there is sea, and the mean by area
    errors = torch.where(area > 0, forecast - truth, 0.0)
    return (errors.square() * area).sum((-2, -1)).mean() / area.sum()
    # END SOLUTION


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
    # BEGIN SOLUTION: two sums per day over all pieces, and one division at the end
    sums = torch.zeros(2, future.shape[1], dtype=torch.float64)
    with torch.no_grad():
        for days, came in zip(past.split(piece), future.split(piece), strict=True):
            forecasts = model(days, area > 0, future.shape[1]), days[:, -1:]
            for total, forecast in zip(sums, forecasts, strict=True):
                errors = torch.where(area > 0, forecast - came, 0.0)
                total += (errors.square() * area).sum((0, 2, 3, 4))
    return (1 - sums[0] / sums[1]).tolist()
    # END SOLUTION


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
