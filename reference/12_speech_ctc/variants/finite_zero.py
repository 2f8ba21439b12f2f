"""Minus 1e30 stands for the logarithm of zero inside, time comes first, and the last alphas are picked at the end."""

import math

import torch
from torch import nn

ZERO = -1e30  # far below any log-probability, and yet a number: differences of two of them are never NaN


def greedy_decode(log_probs, input_lengths):
    texts = []
    for n, length in enumerate(input_lengths):
        text, before = [], 0
        for t in range(length):
            label = int(log_probs[n, t].argmax())
            if label not in (before, 0):
                text.append(label)
            before = label
        texts.append(text)
    return texts


def log_sum(values, dim):
    values = torch.where(values < ZERO, ZERO, values)
    largest = values.detach().amax(dim, keepdim=True)
    sums = (values - largest).exp().sum(dim).log() + largest.squeeze(dim)
    return torch.where(sums < ZERO / 2, -math.inf, sums)


def _merge(alpha, repeated):
    """What arrives in each state, (N, S); repeated (N, S) forbids the way over two."""
    alpha = torch.where(alpha < ZERO, ZERO, alpha)
    shifted = torch.full_like(alpha, ZERO)
    one = torch.cat([shifted[:, :1], alpha[:, :-1]], 1)
    two = torch.cat([shifted[:, :2], alpha[:, :-2]], 1)[:, : alpha.shape[1]]
    two = torch.where(repeated, ZERO, two)
    return torch.logaddexp(torch.logaddexp(alpha, one), two)


def _repeated(labels):
    repeated = torch.ones_like(labels, dtype=torch.bool)
    repeated[:, 3::2] = labels[:, 3::2] == labels[:, 1:-2:2]
    repeated[:, 2::2] = True
    return repeated


def ctc_step(alpha, labels, log_probs):
    result = _merge(alpha, _repeated(labels)) + torch.take_along_dim(log_probs, labels, 1)
    return torch.where(result < ZERO / 2, -math.inf, result)


def ctc_loss(log_probs, targets, input_lengths, target_lengths):
    n, most = targets.shape
    labels = torch.stack([torch.zeros_like(targets), targets], 2).reshape(n, 2 * most)
    labels = torch.cat([labels, labels.new_zeros(n, 1)], 1)
    repeated = _repeated(labels)
    spoken = log_probs.gather(2, labels[:, None].expand(-1, log_probs.shape[1], -1)).transpose(0, 1)
    alpha = torch.where(torch.arange(2 * most + 1) < 2, spoken[0], ZERO)
    history = [alpha]
    for emitted in spoken[1:]:
        alpha = _merge(alpha, repeated) + emitted
        history.append(alpha)
    rows = torch.arange(n)
    alpha = torch.stack(history)[input_lengths - 1, rows]
    blank = alpha[rows, 2 * target_lengths]
    label = alpha[rows, (2 * target_lengths - 1).clamp(min=0)]
    chance = torch.logaddexp(blank, torch.where(target_lengths > 0, label, ZERO))
    return -torch.where(chance < ZERO / 2, -math.inf, chance)


class AcousticModel(nn.Module):
    def __init__(self, features, hidden_size, classes, dtype=torch.float32):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden_size, 1, True, True, 0.0, True, dtype=dtype)
        self.head = nn.Linear(hidden_size * 2, classes, True, None, dtype)

    def forward(self, x, input_lengths):
        answers = x.new_zeros(x.shape[0], x.shape[1], self.head.out_features)
        for length in input_lengths.unique():
            rows = input_lengths == length
            heard, _ = self.lstm(x[rows, : int(length)])
            answers[rows, : int(length)] = torch.log_softmax(self.head(heard), -1)
        return answers


def fit(model, x, input_lengths, targets, target_lengths, batches, learning_rate):
    optimiser = torch.optim.Adam(params=list(model.parameters()), lr=learning_rate)
    losses = []
    for step in range(batches.shape[0]):
        data = [part[batches[step]] for part in (x, input_lengths, targets, target_lengths)]
        loss = ctc_loss(model(data[0], data[1]), data[2], data[1], data[3]).sum() / len(data[0])
        model.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses
