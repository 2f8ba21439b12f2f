"""The same autoencoder that computes in float64 whatever it is given; a transposed convolution is a convolution's slope."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def conv_size(size, kernel, stride, padding):
    return -((kernel - 1 - size - 2 * padding) // stride)


def output_padding(size, kernel, stride, padding):
    rows = size - kernel + 2 * padding
    return rows - rows // stride * stride


class Slope(torch.autograd.Function):
    """x times the Jacobian of the convolution that leads from (rows, columns) to x."""

    @staticmethod
    def forward(ctx, x, weight, shape, stride, padding):
        ctx.save_for_backward(x, weight)
        ctx.rest = stride, padding
        with torch.enable_grad():
            image = torch.zeros(len(x), weight.shape[1], *shape, dtype=x.dtype, requires_grad=True)
            return torch.autograd.grad(F.conv2d(image, weight.detach(), None, stride, padding), image, x.detach())[0]

    @staticmethod
    def backward(ctx, upstream):
        x, weight = (value.detach() for value in ctx.saved_tensors)
        with torch.enable_grad():
            kernel = weight.clone().requires_grad_()
            found = F.conv2d(upstream, kernel, None, *ctx.rest)
        return found.detach(), torch.autograd.grad(found, kernel, x)[0], None, None, None


def conv_transpose2d(x, weight, bias, stride, padding, extra):
    sizes = zip(x.shape[2:], weight.shape[2:], extra, strict=True)
    shape = [(size - 1) * stride + kernel - 2 * padding + rest for size, kernel, rest in sizes]
    out = Slope.apply(x.double(), weight.double(), shape, stride, padding)
    return (out + bias.double()[None, :, None, None]).to(x.dtype)


class ConvAutoencoder(nn.Module):
    def __init__(self, image, channels, kernel=3, stride=2, padding=1, dtype=torch.float32):
        super().__init__()
        self.stride, self.padding = stride, padding
        self.shapes = [tuple(image)]
        for width in channels:
            sizes = (conv_size(size, kernel, stride, padding) for size in self.shapes[-1][1:])
            self.shapes.append((width, *sizes))
        self.code_shape = self.shapes[-1]
        if torch.Size(self.code_shape).numel() >= torch.Size(image).numel():
            raise ValueError("no bottleneck")
        pairs = [(self.shapes[i][0], self.shapes[i + 1][0]) for i in range(len(channels))]
        self.encoder = nn.ModuleList(nn.Conv2d(*pair, kernel, dtype=dtype) for pair in pairs)
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(*pair[::-1], kernel, dtype=dtype) for pair in pairs[::-1])

    def encode(self, x):
        value = x.double()
        for i, layer in enumerate(self.encoder):
            value = F.elu(value) if i else value
            value = F.conv2d(value, layer.weight.double(), layer.bias.double(), self.stride, self.padding)
        return value.to(x.dtype)

    def decode(self, code):
        value = code.double()
        for i, (layer, shape) in enumerate(zip(self.decoder, self.shapes[-2::-1], strict=True)):
            value = F.elu(value) if i else value
            kernel, sizes = layer.weight.shape[2], value.shape[2:]
            extra = [
                whole - (size - 1) * self.stride - kernel + 2 * self.padding
                for whole, size in zip(shape[1:], sizes, strict=True)
            ]
            value = conv_transpose2d(value, layer.weight, layer.bias, self.stride, self.padding, extra)
        return value.to(code.dtype)

    def forward(self, x):
        return self.decode(self.encode(x))


def denoising_loss(model, x, noise):
    error = (model(x + noise).double() - x.double()).flatten()
    return (torch.dot(error, error) / x.shape[0]).to(x.dtype)


def fit(model, images, batches, noise, learning_rates):
    optimiser = torch.optim.Adam([{"params": [p]} for p in model.parameters()], lr=learning_rates[0])

    def step(rows, disturbance, rate):
        for group in optimiser.param_groups:
            group.update(lr=rate)
        optimiser.zero_grad()
        loss = denoising_loss(model, images[rows], disturbance)
        loss.backward()
        optimiser.step()
        return loss.item()

    return [step(*one) for one in zip(batches, noise, learning_rates, strict=True)]
