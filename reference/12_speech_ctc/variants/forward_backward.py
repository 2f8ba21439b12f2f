"""Alpha and beta by hand: the gradient is written, not derived by autograd, one clip at a time in float64."""

import itertools
import math

import torch
from torch import nn
from torch.nn.utils import rnn


def greedy_decode(log_probs, input_lengths):
    texts = []
    for clip, length in zip(log_probs, input_lengths, strict=True):
        path = clip[: int(length)].argmax(-1).tolist()
        texts.append([label for label, _ in itertools.groupby(path) if label])
    return texts


class _LogSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, dim):
        result = torch.logsumexp(values, dim)
        ctx.save_for_backward(values, result)
        ctx.dim = dim
        return result

    @staticmethod
    def backward(ctx, gradient):
        values, result = ctx.saved_tensors
        share = torch.exp(values - result.unsqueeze(ctx.dim)).nan_to_num(nan=0.0)
        return gradient.unsqueeze(ctx.dim) * share, None


def log_sum(values, dim):
    return _LogSum.apply(values, dim)


def _moves(labels):
    """moves[n, i, j] is 0 where state i may hand on to state j, and -inf elsewhere."""
    size = labels.shape[1]
    gap = torch.arange(size)[None, :] - torch.arange(size)[:, None]
    different = labels[:, :, None] != labels[:, None, :]
    allowed = (gap == 0) | (gap == 1) | ((gap == 2) & different)
    return torch.zeros(allowed.shape).double().masked_fill(~allowed, -math.inf)


def ctc_step(alpha, labels, log_probs):
    arrived = torch.logsumexp(alpha.double()[:, :, None] + _moves(labels), 1)
    return (arrived + log_probs.double().gather(1, labels)).to(log_probs.dtype)


class _CTC(torch.autograd.Function):
    @staticmethod
    def forward(ctx, log_probs, targets, input_lengths, target_lengths):
        losses, gradient = [], torch.zeros(log_probs.shape, dtype=torch.float64)
        for n, (clip, text, t, u) in enumerate(zip(log_probs, targets, input_lengths, target_lengths, strict=True)):
            states = torch.zeros(2 * int(u) + 1, dtype=torch.int64)
            states[1::2] = text[: int(u)]
            emitted, moves = clip[: int(t)].double()[:, states], _moves(states[None])[0]
            alpha, beta = torch.full_like(emitted, -math.inf), torch.full_like(emitted, -math.inf)
            alpha[0, :2], beta[-1, -2:] = emitted[0, :2], 0.0
            for now in range(1, int(t)):
                alpha[now] = torch.logsumexp(alpha[now - 1][:, None] + moves, 0) + emitted[now]
                back = int(t) - 1 - now
                beta[back] = torch.logsumexp(moves + (emitted[back + 1] + beta[back + 1])[None], 1)
            total = torch.logsumexp(alpha[-1, -2:], 0)
            losses.append(-total)
            if total > -math.inf:
                gradient[n, : int(t)].index_add_(1, states, -torch.exp(alpha + beta - total))
        ctx.gradient = gradient.to(log_probs.dtype)
        return torch.stack(losses).to(log_probs.dtype)

    @staticmethod
    def backward(ctx, upstream):
        return ctx.gradient * upstream[:, None, None], None, None, None


def ctc_loss(log_probs, targets, input_lengths, target_lengths):
    return _CTC.apply(log_probs, targets, input_lengths, target_lengths)


class AcousticModel(nn.Module):
    def __init__(self, features, hidden_size, classes, dtype=torch.float32):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden_size, bidirectional=True).to(dtype)
        self.head = nn.Linear(2 * hidden_size, classes).to(dtype)

    def forward(self, x, input_lengths):
        packed = rnn.pack_padded_sequence(x.transpose(0, 1), input_lengths, enforce_sorted=False)
        outputs, _ = rnn.pad_packed_sequence(self.lstm(packed)[0], total_length=x.shape[1])
        scores = self.head(outputs.transpose(0, 1))
        return scores - scores.logsumexp(-1, keepdim=True)


def fit(model, x, input_lengths, targets, target_lengths, batches, learning_rate):
    adam = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def one(rows):
        adam.zero_grad(set_to_none=False)
        loss = ctc_loss(model(x[rows], input_lengths[rows]), targets[rows], input_lengths[rows], target_lengths[rows])
        loss.mean().backward()
        adam.step()
        return float(loss.detach().mean())

    return [one(rows) for rows in batches]
