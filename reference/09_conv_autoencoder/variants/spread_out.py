"""The same autoencoder with a transposed convolution that is a plain one: zeros between the pixels, the kernel turned."""

from __future__ import annotations

from collections import OrderedDict
from math import prod

import torch
from torch import nn
from torch.nn import functional as F


def conv_size(size, kernel, stride, padding):
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def output_padding(size, kernel, stride, padding):
    return divmod(size + 2 * padding - kernel, stride)[1]


def conv_transpose2d(x, weight, bias, stride, padding, extra):
    count, channels, height, width = x.shape
    spread = x.new_zeros(count, channels, (height - 1) * stride + 1, (width - 1) * stride + 1)
    spread[:, :, ::stride, ::stride] = x
    top, left = weight.shape[2] - 1 - padding, weight.shape[3] - 1 - padding
    spread = F.pad(spread, (left, left + extra[1], top, top + extra[0]))
    return F.conv2d(spread, weight.transpose(0, 1).flip(2, 3), bias)


class Up(nn.ConvTranspose2d):
    def forward(self, x):
        return conv_transpose2d(x, self.weight, self.bias, self.stride[0], self.padding[0], self.output_padding)


class ConvAutoencoder(nn.Module):
    def __init__(self, image, channels, kernel=3, stride=2, padding=1, dtype=torch.float32):
        super().__init__()
        down, up = OrderedDict(), []
        shape = tuple(image)
        for i, width in enumerate(channels):
            if i:
                down[f"bend{i}"] = nn.ELU()
            down[str(i)] = nn.Conv2d(shape[0], width, kernel, stride, padding).to(dtype)
            extra = tuple(output_padding(size, kernel, stride, padding) for size in shape[1:])
            up.append(Up(width, shape[0], kernel, stride, padding, extra).to(dtype))
            shape = (width, *[conv_size(size, kernel, stride, padding) for size in shape[1:]])
        if prod(shape) >= prod(image):
            raise ValueError(f"{prod(shape)} numbers are no summary of {prod(image)}")
        self.code_shape = shape
        self.encoder, self.decoder = nn.Sequential(down), nn.Sequential(OrderedDict())
        for i, layer in enumerate(reversed(up)):
            if i:
                self.decoder.add_module(f"bend{i}", nn.ELU())
            self.decoder.add_module(str(i), layer)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, code):
        return self.decoder(code)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def denoising_loss(model, x, noise):
    return F.mse_loss(model(x + noise), x, reduction="sum") / x.shape[0]


def fit(model, images, batches, noise, learning_rates):
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: [*learning_rates, 0.0][step])
    losses = []
    for rows, disturbance in zip(batches, noise, strict=True):
        optimiser.zero_grad(set_to_none=False)
        loss = denoising_loss(model, images.index_select(0, rows), disturbance)
        losses.append(float(loss.detach()))
        loss.backward()
        optimiser.step()
        schedule.step()
    return losses
