"""Frames stand before channels inside, taps are summed one by one, and rings of single frames remember."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def mu_law_encode(wave, levels):
    squeezed = torch.log(1 + (levels - 1) * wave.double().abs()) / math.log(levels)
    return torch.floor((torch.copysign(squeezed, wave.double()) + 1) * (levels - 1) / 2 + 0.5).to(torch.int64)


def mu_law_decode(codes, levels, dtype=torch.float32):
    table = torch.linspace(-1, 1, levels, dtype=torch.float64)
    table = torch.copysign((float(levels) ** table.abs() - 1) / (levels - 1), table)
    return table.to(dtype)[codes]


def causal_conv(x, weight, bias, dilation, past=None):
    frames, taps = x.shape[2], weight.shape[2]
    stream = F.pad(x, ((taps - 1) * dilation, 0)) if past is None else torch.cat((past, x), -1)
    y = bias[:, None]
    for tap in range(taps):
        start = tap * dilation
        y = y + torch.einsum("oc,nct->not", weight[:, :, tap], stream[:, :, start : start + frames])
    return y


class GatedBlock(nn.Module):
    def __init__(self, channels, skip_channels, kernel_size, dilation, dtype=torch.float32):
        super().__init__()
        self.skip = nn.Conv1d(channels, skip_channels, 1).to(dtype)
        self.residual = nn.Conv1d(channels, channels, 1).to(dtype)
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size).to(dtype)
        self.step = dilation

    def _open(self, total):
        """total (..., 2C) to what leaves by the two branches."""
        half = total.shape[-1] // 2
        z = torch.tanh(total[..., :half]) * torch.sigmoid(total[..., half:])
        return tuple(F.linear(z, one.weight[:, :, 0], one.bias) for one in (self.residual, self.skip))

    def forward(self, x, past=None):
        total = causal_conv(x, self.conv.weight, self.conv.bias, self.step, past)
        residual, skip = self._open(total.transpose(1, 2))
        return x + residual.transpose(1, 2), skip.transpose(1, 2)

    def one(self, now, ring):
        """One frame (N, C), and the frames before it, oldest first."""
        frames = [*ring[:: self.step], now]
        total = self.conv.bias
        for frame, matrix in zip(frames, self.conv.weight.unbind(2), strict=True):
            total = total + frame @ matrix.T
        residual, skip = self._open(total)
        return now + residual, skip


class WaveNet(nn.Module):
    def __init__(self, levels, channels, skip_channels, kernel_size, dilations, dtype=torch.float32):
        super().__init__()
        self.taps = kernel_size
        self.blocks = nn.ModuleList()
        for dilation in dilations:
            self.blocks.append(GatedBlock(channels, skip_channels, kernel_size, dilation, dtype))
        self.head = nn.Conv1d(skip_channels, levels, 1, dtype=dtype)
        self.hidden = nn.Conv1d(skip_channels, skip_channels, 1, dtype=dtype)
        self.embed = nn.Embedding(levels, channels, dtype=dtype)

    def receptive_field(self):
        frames = 1
        for block in self.blocks:
            frames += block.step * (self.taps - 1)
        return frames

    def _head(self, skips):
        return self.head(F.relu(self.hidden(F.relu(skips))))

    def forward(self, codes, cache=None):
        if cache is None:
            silent = self.embed.weight.new_zeros(len(codes), self.embed.weight.shape[1])
            cache = [[silent] * ((self.taps - 1) * block.step) for block in self.blocks]
        rings, answers = [list(ring) for ring in cache], []
        for column in codes.unbind(1):
            x, skips = self.embed(column), 0
            for block, ring in zip(self.blocks, rings, strict=True):
                before = x
                x, skip = block.one(x, ring)
                skips = skips + skip
                ring.append(before)
                del ring[0]
            answers.append(skips)
        return self._head(torch.stack(answers, 2)), rings


def fit(model, codes, batches, learning_rate):
    adam = torch.optim.Adam(model.parameters(), learning_rate)
    losses = []
    for rows in batches.tolist():
        x, skips = model.embed(codes[rows]).transpose(1, 2), []
        for block in model.blocks:
            x, skip = block(x)
            skips.append(skip)
        chances = model._head(torch.stack(skips).sum(0)).log_softmax(1)[:, :, :-1]
        loss = -chances.gather(1, codes[rows, None, 1:]).mean()
        model.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return losses


@torch.no_grad()
def generate(model, prompt, uniforms):
    (logits, cache), text = model(prompt), list(prompt.unbind(1))
    for number in range(uniforms.shape[1]):
        edges = logits[:, :, -1].softmax(1).cumsum(1)
        drawn = torch.searchsorted(edges, uniforms[:, number : number + 1].contiguous(), right=True)
        text.append(drawn[:, 0].clamp(max=edges.shape[1] - 1))
        if number + 1 < uniforms.shape[1]:
            logits, cache = model(text[-1][:, None], cache)
    return torch.stack(text, 1)
