"""Days outside and layers inside, one convolution for the input and one for the state, and land kept out by products."""

import torch
from torch import nn
from torch.nn import functional as F


def anomalies(fields, sea, training):
    known = fields.nan_to_num(0.0).mul(sea)
    usual = known[:training].sum(0) / training
    scaled = (known - usual).masked_fill(~sea, 0)
    spread = scaled[:training][..., sea].transpose(0, 1).flatten(1).pow(2).mean(1).sqrt()
    spread[spread == 0] = 1
    return scaled / spread.reshape(-1, 1, 1), usual, spread


def convlstm_step(x, h, c, weight, bias, peephole):
    own, around = h.shape[1], (weight.shape[2] - 1) // 2
    of_x, of_h = weight[:, : x.shape[1]], weight[:, x.shape[1] :]
    summed = F.conv2d(x, of_x, bias, padding=around) + F.conv2d(h, of_h, padding=around)
    eye = peephole.reshape(3, 1, own, 1, 1)
    write = (summed[:, :own] + eye[0] * c).sigmoid()
    keep = (summed[:, own : 2 * own] + eye[1] * c).sigmoid()
    new = keep * c + write * summed[:, 2 * own : 3 * own].tanh()
    show = (summed[:, 3 * own :] + eye[2] * new).sigmoid()
    return show * new.tanh(), new


class ConvLSTM(nn.Module):
    def __init__(self, inputs, hidden, kernel=3, dtype=torch.float32):
        super().__init__()
        self.convs, self.peepholes = nn.ModuleList(), nn.ParameterList()
        for own in hidden:
            self.convs.append(nn.Conv2d(inputs + own, 4 * own, kernel).to(dtype))
            self.peepholes.append(nn.Parameter(torch.zeros((3, own), dtype=dtype)))
            inputs = own

    def rest(self, day):
        blanks = [day.new_zeros(len(day), eye.shape[1], *day.shape[-2:]) for eye in self.peepholes]
        return [(blank, blank.clone()) for blank in blanks]

    def step(self, maps, states):
        after = []
        for conv, eye, (h, c) in zip(self.convs, self.peepholes, states, strict=True):
            after.append(convlstm_step(maps, h, c, conv.weight, conv.bias, eye))
            maps = after[-1][0]
        return maps, after

    def forward(self, x, states=None):
        states = self.rest(x) if states is None else states
        days = []
        for day in x.unbind(1):
            shown, states = self.step(day, states)
            days.append(shown)
        return torch.stack(days, dim=1), states


class Forecaster(nn.Module):
    def __init__(self, fields, hidden, kernel=3, dtype=torch.float32):
        super().__init__()
        self.encoder = ConvLSTM(1 + fields, hidden, kernel, dtype)
        self.decoder = ConvLSTM(1 + fields, hidden, kernel, dtype)
        self.head = nn.Conv2d(hidden[-1], fields, kernel_size=1).to(dtype)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.fill_(0)

    def forward(self, past, sea, steps, truth=None):
        mask = sea.to(past.dtype)
        chart = mask.expand(past.shape[0], 1, -1, -1)
        states = self.encoder.rest(past)
        for day in past.unbind(1):
            _, states = self.encoder.step(torch.cat([day, chart], 1), states)
        said = []
        while len(said) < steps:
            shown, states = self.decoder.step(torch.cat([day, chart], 1), states)
            said.append((day + self.head(shown)) * mask)
            day = said[-1] if truth is None else truth[:, len(said) - 1]
        return torch.stack(said, dim=1)


def sea_loss(forecast, truth, area):
    came = truth.masked_fill(area == 0, 0)
    return ((forecast - came) ** 2 * area).sum((-2, -1)).mean() / area.sum()


def skill(model, past, future, area, piece):
    came, sea = future.masked_fill(area == 0, 0), area > 0
    ours, theirs = 0, 0
    for first in range(0, len(past), piece):
        rows = slice(first, first + piece)
        forecast = model(past[rows], sea, came.shape[1]).detach()
        ours = ours + ((forecast - came[rows]) ** 2 * area).transpose(0, 1).flatten(1).sum(1)
        theirs = theirs + ((past[rows, -1:] - came[rows]) ** 2 * area).transpose(0, 1).flatten(1).sum(1)
    return [1 - float(a) / float(b) for a, b in zip(ours, theirs, strict=True)]


def fit(model, past, future, area, batches, learning_rates, forced=0):
    adam, losses = torch.optim.Adam(model.parameters()), []
    for step, rows in enumerate(batches):
        adam.param_groups[0]["lr"] = learning_rates[step]
        adam.zero_grad()
        truth = future[rows] if step < forced else None
        loss = sea_loss(model(past[rows], area > 0, future.shape[1], truth), future[rows], area)
        loss.backward()
        adam.step()
        losses.append(float(loss))
    return losses
