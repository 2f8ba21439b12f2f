"""Every block keeps all that it ever heard, in an object that is never changed, and picks its taps by index."""

import math
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


def mu_law_encode(wave, levels):
    positive = wave >= 0
    scale = (wave.abs() * (levels - 1)).log1p() / math.log(levels)
    return ((torch.where(positive, 1 + scale, 1 - scale)) * (levels - 1) / 2).round().to(torch.int64)


def mu_law_decode(codes, levels, dtype=torch.float32):
    scale = codes.to(torch.float64) * 2 / (levels - 1) - 1
    size = ((scale.abs() * math.log(levels)).exp() - 1) / (levels - 1)
    return torch.where(scale < 0, -size, size).to(dtype)


def _taps(stream, weight, bias, dilation, frames):
    """The last frames of a stream (N, C, any), with zeros before it, through the taps."""
    count = weight.shape[2]
    ends = torch.arange(stream.shape[2] - frames, stream.shape[2])
    places = ends + dilation * torch.arange(1 - count, 1)[:, None]  # (K, T)
    picked = stream[:, :, places.clamp(min=0)] * (places >= 0).to(stream.dtype)
    return torch.tensordot(picked, weight, dims=([1, 2], [1, 2])).transpose(1, 2) + bias.reshape(-1, 1)


def causal_conv(x, weight, bias, dilation, past=None):
    stream = x if past is None else torch.cat([past, x], dim=2)
    return _taps(stream, weight, bias, dilation, x.shape[2])


class GatedBlock(nn.Module):
    def __init__(self, channels, skip_channels, kernel_size, dilation, dtype=torch.float32):
        super().__init__()
        self.d, self.c = dilation, channels
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size, padding="same", dilation=dilation, dtype=dtype)
        self.skip = nn.Conv1d(channels, skip_channels, kernel_size=1, dtype=dtype)
        self.residual = nn.Conv1d(channels, channels, kernel_size=1, dtype=dtype)

    def forward(self, x, past=None):
        total = causal_conv(x, self.conv.weight, self.conv.bias, self.d, past)
        z = F.glu(torch.cat([total[:, : self.c].tanh(), total[:, self.c :]], dim=1), dim=1)
        return self.residual(z) + x, self.skip(z)


class History(NamedTuple):
    streams: list
    frames: int


class WaveNet(nn.Module):
    def __init__(self, levels, channels, skip_channels, kernel_size, dilations, dtype=torch.float32):
        super().__init__()
        self.field = 1 + sum(dilation * (kernel_size - 1) for dilation in dilations)
        self.embed = nn.Embedding(levels, channels).to(dtype)
        self.blocks = nn.ModuleList(
            GatedBlock(channels, skip_channels, kernel_size, dilation, dtype) for dilation in dilations
        )
        self.hidden = nn.Conv1d(skip_channels, skip_channels, 1).to(dtype)
        self.head = nn.Conv1d(skip_channels, levels, 1).to(dtype)

    def receptive_field(self):
        return self.field

    def forward(self, codes, cache=None):
        x = self.embed(codes.T).permute(1, 2, 0)
        streams, skips = [], []
        for number, block in enumerate(self.blocks):
            past = None if cache is None else cache.streams[number]
            streams.append(x if past is None else torch.cat([past, x], dim=2))
            x, skip = block(x, past)
            skips.append(skip)
        logits = nn.Sequential(nn.ReLU(), self.hidden, nn.ReLU(), self.head)(torch.stack(skips).sum(dim=0))
        return logits, History(streams, codes.shape[1] + (cache.frames if cache else 0))


def fit(model, codes, batches, learning_rate):
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = torch.zeros(len(batches), dtype=torch.float64)
    for step in range(len(batches)):
        clips = codes[batches[step]]
        chances = F.log_softmax(model(clips)[0], dim=1)
        loss = F.nll_loss(chances[:, :, :-1], clips[:, 1:], reduction="sum") / clips[:, 1:].numel()
        for parameter in model.parameters():
            parameter.grad = None
        loss.backward()
        optimiser.step()
        losses[step] = loss.detach()
    return losses.tolist()


def generate(model, prompt, uniforms):
    with torch.no_grad():
        text = torch.zeros(len(prompt), prompt.shape[1] + uniforms.shape[1], dtype=torch.int64)
        text[:, : prompt.shape[1]] = prompt
        done, cache = 0, None
        for end in range(prompt.shape[1], text.shape[1]):
            logits, cache = model(text[:, done:end], cache)
            chances, done = F.softmax(logits[:, :, -1], dim=1), end
            column = uniforms[:, end - prompt.shape[1]]
            for row, (chance, uniform) in enumerate(zip(chances.tolist(), column.tolist(), strict=True)):
                above = [code for code, mass in enumerate(accumulate(chance)) if mass > uniform]
                text[row, end] = min(above, default=len(chance) - 1)
    return text
