"""Every place reads its patch: unfold and einsum in place of a convolution, gates by name, sea by indexing."""

import math

import torch
from torch import nn


def anomalies(fields, sea, training):
    water = fields[:, :, sea].double()
    means = torch.stack(list(water[:training])).mean(dim=0)
    rest = water - means
    spread = rest[:training].pow(2).mean(dim=(0, 2)).sqrt()
    spread = torch.where(spread == 0, torch.ones_like(spread), spread)
    scaled, usual = torch.zeros(fields.shape).double(), torch.zeros(fields.shape[1:]).double()
    scaled[:, :, sea] = rest / spread[:, None]
    usual[:, sea] = means
    return scaled.to(fields.dtype), usual.to(fields.dtype), spread.to(fields.dtype)


def convlstm_step(x, h, c, weight, bias, peephole):
    count, own, rows, columns = h.shape
    kernel = weight.shape[-1]
    patches = nn.functional.unfold(torch.cat((x, h), dim=1), kernel, padding=kernel // 2)
    sums = torch.einsum("gk,nkp->ngp", weight.flatten(1), patches) + bias[:, None]
    gate = dict(zip("ifgo", sums.reshape(count, 4, own, rows, columns).unbind(1), strict=True))
    sees = {name: eye[:, None, None] for name, eye in zip("ifo", peephole, strict=True)}
    written = torch.sigmoid(gate["i"] + sees["i"] * c) * torch.tanh(gate["g"])
    memory = torch.addcmul(written, torch.sigmoid(gate["f"] + sees["f"] * c), c)
    return torch.sigmoid(gate["o"] + sees["o"] * memory) * torch.tanh(memory), memory


class Filters(nn.Module):
    def __init__(self, maps, filters, kernel, dtype):
        super().__init__()
        bound = 1 / math.sqrt(maps * kernel * kernel)
        self.weight = nn.Parameter((2 * torch.rand(filters, maps, kernel, kernel, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(filters, dtype=dtype) - 1) * bound)


class ConvLSTM(nn.Module):
    def __init__(self, inputs, hidden, kernel=3, dtype=torch.float32):
        super().__init__()
        self.hidden = list(hidden)
        layers = range(len(hidden))
        reads = [(hidden[layer - 1] if layer else inputs) + hidden[layer] for layer in layers]
        self.convs = nn.ModuleList([Filters(reads[n], 4 * hidden[n], kernel, dtype) for n in layers])
        self.peepholes = nn.ParameterList([nn.Parameter(torch.zeros(3, maps, dtype=dtype)) for maps in hidden])

    def forward(self, x, states=None):
        count, steps, _, rows, columns = x.shape
        ends = []
        for layer, maps in enumerate(self.hidden):
            blank = torch.zeros(count, maps, rows, columns, dtype=x.dtype)
            h, c = (blank, blank) if states is None else states[layer]
            filters, shown = self.convs[layer], []
            for day in range(steps):
                h, c = convlstm_step(x[:, day], h, c, filters.weight, filters.bias, self.peepholes[layer])
                shown.append(h.unsqueeze(1))
            x = torch.cat(shown, dim=1)
            ends.append([h, c])
        return x, ends


class Forecaster(nn.Module):
    def __init__(self, fields, hidden, kernel=3, dtype=torch.float32):
        super().__init__()
        self.encoder, self.decoder = (ConvLSTM(fields + 1, hidden, kernel, dtype) for _ in range(2))
        self.head = nn.Module()
        self.head.weight = nn.Parameter(torch.zeros(fields, hidden[-1], 1, 1, dtype=dtype))
        self.head.bias = nn.Parameter(torch.zeros(fields, dtype=dtype))

    def forward(self, past, sea, steps, truth=None):
        chart = torch.zeros(past.shape[0], past.shape[1], 1, *sea.shape, dtype=past.dtype)
        chart[..., sea] = 1
        _, states = self.encoder(torch.cat((past, chart), dim=2))
        read, said = past[:, -1], []
        for day in range(steps):
            if day:
                read = said[day - 1] if truth is None else truth[:, day - 1]
            shown, states = self.decoder(torch.cat((read, chart[:, 0]), dim=1).unsqueeze(1), states)
            change = torch.einsum("cm,nmyx->ncyx", self.head.weight[:, :, 0, 0], shown[:, 0])
            said.append((read + change + self.head.bias[:, None, None]).masked_fill(~sea, 0))
        return torch.stack(said, 1)


def sea_loss(forecast, truth, area):
    wet = area > 0
    share = area[wet] / area[wet].sum()
    return torch.mean((forecast[..., wet] - truth[..., wet]).square().mul(share).sum(-1))


def skill(model, past, future, area, piece):
    wet = area > 0
    said = torch.cat([model(days, wet, future.shape[1]).detach() for days in torch.split(past, piece)])
    stays = past[:, -1].unsqueeze(1).expand_as(future)
    result = []
    for day in range(future.shape[1]):
        errors = [sea_loss(each[:, day], future[:, day], area).item() for each in (said, stays)]
        result.append(1.0 - errors[0] / errors[1])
    return result


def fit(model, past, future, area, batches, learning_rates, forced=0):
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    history = []
    for rows, rate in zip(batches.tolist(), learning_rates, strict=True):
        optimiser.param_groups[0].update(lr=rate)
        came = future[rows]
        given = came if len(history) < forced else None
        loss = sea_loss(model(past[rows], area > 0, came.shape[1], given), came, area)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        history.append(loss.item())
    return history
