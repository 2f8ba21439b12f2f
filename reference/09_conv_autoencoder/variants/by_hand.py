"""The same autoencoder in small steps: stamps laid down one by one, layers of its own, and Adam written out."""

from __future__ import annotations

import torch
from torch import nn


def conv_size(size, kernel, stride, padding):
    stops, start = 0, -padding
    while start + kernel <= size + padding:
        stops, start = stops + 1, start + stride
    return stops


def output_padding(size, kernel, stride, padding):
    smallest = (conv_size(size, kernel, stride, padding) - 1) * stride + kernel - 2 * padding
    return size - smallest


def conv_transpose2d(x, weight, bias, stride, padding, extra):
    count, _, height, width = x.shape
    rows, columns = weight.shape[2:]
    full = x.new_zeros(count, weight.shape[1], height * stride + rows + extra[0], width * stride + columns + extra[1])
    for i in range(height):
        for j in range(width):
            stamp = torch.einsum("nc,cfrs->nfrs", x[:, :, i, j], weight)
            full[:, :, i * stride : i * stride + rows, j * stride : j * stride + columns] += stamp
    bottom = (height - 1) * stride + rows - padding + extra[0]
    right = (width - 1) * stride + columns - padding + extra[1]
    return full[:, :, padding:bottom, padding:right] + bias.view(1, -1, 1, 1)


class Layer(nn.Module):
    def __init__(self, written, read, kernel, biases, dtype):
        super().__init__()
        bound = (read * kernel**2) ** -0.5
        self.weight = nn.Parameter((2 * torch.rand(written, read, kernel, kernel, dtype=dtype) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(biases, dtype=dtype) - 1) * bound)


class ConvAutoencoder(nn.Module):
    def __init__(self, image, channels, kernel=3, stride=2, padding=1, dtype=torch.float32):
        super().__init__()
        self.geometry = kernel, stride, padding
        widths = [image[0], *channels]
        down, up = [], []
        for i in range(len(channels)):
            down.append(Layer(widths[i + 1], widths[i], kernel, widths[i + 1], dtype))
            up.append(Layer(widths[i + 1], widths[i], kernel, widths[i], dtype))
        self.decoder, self.encoder = nn.ModuleList(up[::-1]), nn.ModuleList(down)
        self.heights, self.columns = [image[1]], [image[2]]
        for _ in channels:
            self.heights.append(conv_size(self.heights[-1], *self.geometry))
            self.columns.append(conv_size(self.columns[-1], *self.geometry))
        self.code_shape = (widths[-1], self.heights[-1], self.columns[-1])
        numbers = widths[-1] * self.heights[-1] * self.columns[-1]
        if not numbers < image[0] * image[1] * image[2]:
            raise ValueError("the code must be shorter than the image")

    @staticmethod
    def _elu(value):
        return torch.where(value > 0, value, torch.expm1(value.clamp(max=0)))

    def encode(self, x):
        kernel, stride, padding = self.geometry
        for i, layer in enumerate(self.encoder):
            rows, columns = self.heights[i + 1], self.columns[i + 1]
            windows = nn.functional.unfold(x, kernel, padding=padding, stride=stride)
            x = torch.einsum("fk,nkp->nfp", layer.weight.flatten(1), windows) + layer.bias[:, None]
            x = x.reshape(len(x), -1, rows, columns)
            x = x if i == len(self.encoder) - 1 else self._elu(x)
        return x

    def decode(self, code):
        last = len(self.decoder) - 1
        for i, layer in enumerate(self.decoder):
            extra = (
                output_padding(self.heights[last - i], *self.geometry),
                output_padding(self.columns[last - i], *self.geometry),
            )
            code = conv_transpose2d(code, layer.weight, layer.bias, *self.geometry[1:], extra)
            code = code if i == last else self._elu(code)
        return code

    def forward(self, x):
        return self.decode(self.encode(x))


def denoising_loss(model, x, noise):
    errors = [(output - image).square().sum() for output, image in zip(model(noise + x), x, strict=True)]
    return sum(errors) / len(errors)


def fit(model, images, batches, noise, learning_rates):
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(1, len(batches) + 1):
        loss = denoising_loss(model, images[batches[step - 1]], noise[step - 1])
        gradients = torch.autograd.grad(loss, parameters)
        losses.append(loss.item())
        with torch.no_grad():
            for p, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(gradient, alpha=0.1)
                v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                scale = (v / (1 - 0.999**step)).sqrt().add_(1e-8)
                p.sub_(learning_rates[step - 1] * (m / (1 - 0.9**step)) / scale)
    return losses
