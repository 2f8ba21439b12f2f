"""Windows of frames are laid out first and meet one matrix, in float64; the cache is a dictionary, codes are one-hot."""

import torch
from torch import nn
from torch.nn import functional as F


def mu_law_encode(wave, levels):
    places = mu_law_decode(torch.arange(2 * levels - 1), 2 * levels - 1, torch.float64, levels - 1)
    return torch.bucketize(wave.double().contiguous(), places[1::2].contiguous())


def mu_law_decode(codes, levels, dtype=torch.float32, mu=None):
    mu = levels - 1 if mu is None else mu
    scale = torch.mul(codes.double() / (levels - 1) - 0.5, 2)
    return (torch.sign(scale) / mu * (torch.pow(1.0 + mu, scale.abs()) - 1)).to(dtype)


def causal_conv(x, weight, bias, dilation, past=None):
    taps, dtype = weight.shape[2], x.dtype
    if past is None:
        past = torch.zeros(*x.shape[:2], (taps - 1) * dilation, dtype=dtype)
    stream = torch.cat([past, x], dim=2).double()
    windows = stream.unfold(2, (taps - 1) * dilation + 1, 1)[..., ::dilation]
    y = windows.permute(0, 2, 1, 3).flatten(2) @ weight.double().flatten(1).T + bias.double()
    return y.transpose(1, 2).to(dtype)


class Layer(nn.Module):
    """A weight and a bias, drawn as nn.Conv1d draws them."""

    def __init__(self, inputs, outputs, taps, dtype):
        super().__init__()
        model = nn.Conv1d(inputs, outputs, taps)
        self.weight = nn.Parameter(model.weight.detach().to(dtype))
        self.bias = nn.Parameter(model.bias.detach().to(dtype))

    def forward(self, x, dilation=1, past=None):
        return causal_conv(x, self.weight, self.bias, dilation, past)


class GatedBlock(nn.Module):
    def __init__(self, channels, skip_channels, kernel_size, dilation, dtype=torch.float32):
        super().__init__()
        self.conv = Layer(channels, 2 * channels, kernel_size, dtype)
        self.residual = Layer(channels, channels, 1, dtype)
        self.skip = Layer(channels, skip_channels, 1, dtype)
        self.dilation = dilation
        self.reach = (kernel_size - 1) * dilation

    def forward(self, x, past=None):
        heard = self.conv(x, self.dilation, past)
        filtered, gate = torch.split(heard, x.shape[1], 1)
        gated = filtered.tanh() / (1 + (-gate).exp())
        return self.residual(gated).add(x), self.skip(gated)


class WaveNet(nn.Module):
    def __init__(self, levels, channels, skip_channels, kernel_size, dilations, dtype=torch.float32):
        super().__init__()
        self.levels = levels
        self.embed = nn.Embedding.from_pretrained(torch.randn(levels, channels, dtype=dtype), freeze=False)
        self.blocks = nn.ModuleList([GatedBlock(channels, skip_channels, kernel_size, d, dtype) for d in dilations])
        self.hidden = Layer(skip_channels, skip_channels, 1, dtype)
        self.head = Layer(skip_channels, levels, 1, dtype)

    def receptive_field(self):
        return sum(block.reach for block in self.blocks) + 1

    def forward(self, codes, cache=None):
        x = (F.one_hot(codes, self.levels).to(self.embed.weight.dtype) @ self.embed.weight).mT
        fresh, total = {}, None
        for number, block in enumerate(self.blocks):
            past = x.new_zeros(*x.shape[:2], block.reach) if cache is None else cache[number]
            both = torch.cat([past, x], 2)
            fresh[number] = both[:, :, both.shape[2] - block.reach :]
            x, skip = block(x, past)
            total = skip if total is None else total + skip
        return self.head(self.hidden(total.clamp(min=0)).clamp(min=0)), fresh


def fit(model, codes, batches, learning_rate):
    optimiser = torch.optim.Adam([{"params": list(model.parameters())}], lr=learning_rate)

    def one(clips):
        optimiser.zero_grad(set_to_none=False)
        logits = model(clips)[0]
        loss = F.cross_entropy(logits[..., :-1].mT.flatten(0, 1), clips[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        return loss.item()

    return tuple(one(codes.index_select(0, rows)) for rows in batches)


def generate(model, prompt, uniforms):
    text, cache = prompt.clone(), None
    for at in range(prompt.shape[1] + uniforms.shape[1] - 1):  # the prompt too is heard code by code
        with torch.inference_mode():
            logits, cache = model(text[:, at : at + 1], cache)
        if at + 1 >= prompt.shape[1]:
            edges = torch.softmax(logits[:, :, 0].double(), 1).cumsum(1)[:, :-1]
            draw = uniforms[:, at + 1 - prompt.shape[1]].double()
            text = torch.cat([text, (edges <= draw[:, None]).sum(1, keepdim=True)], 1)
    return text
