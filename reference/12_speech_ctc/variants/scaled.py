"""Steps are matrix products of probabilities, rescaled at every frame so that none is ever too small."""

import torch
from torch import nn
from torch.nn import functional as F


def greedy_decode(log_probs, input_lengths):
    path = log_probs.argmax(-1)
    path = path.masked_fill(torch.arange(path.shape[1]) >= input_lengths.unsqueeze(1), 0)
    fresh = path != F.pad(path, (1, 0))[:, :-1]
    return [row[keep & (row != 0)].tolist() for row, keep in zip(path, fresh, strict=True)]


def log_sum(values, dim):
    top = values.detach().max(dim, keepdim=True).values
    top = torch.where(top.isinf(), torch.zeros_like(top), top)
    total = (values - top).exp().sum(dim)
    nothing = total == 0
    return (total + nothing).log().masked_fill(nothing, -torch.inf) + top.squeeze(dim)


def _band(labels, dtype):
    size = labels.shape[1]
    one, two = (torch.diag(torch.ones(max(0, size - k), dtype=dtype), k)[:size, :size] for k in (1, 2))
    skip = (labels[:, :, None] != labels[:, None, :]).to(dtype)
    return torch.eye(size, dtype=dtype) + one + two * skip


def ctc_step(alpha, labels, log_probs):
    scale = alpha.max(1, keepdim=True).values
    arrived = torch.einsum("ni,nij->nj", (alpha - scale).exp(), _band(labels, alpha.dtype))
    return arrived.log() + scale + log_probs.gather(1, labels)


def ctc_loss(log_probs, targets, input_lengths, target_lengths):
    labels = torch.zeros(targets.shape[0], 2 * targets.shape[1] + 1, dtype=torch.int64)
    labels[:, 1::2] = targets
    dtype = log_probs.dtype
    band, index = _band(labels, dtype), labels[:, None, :].expand(-1, log_probs.shape[1], -1)
    spoken = log_probs.gather(2, index)
    best = spoken.detach().amax(2, keepdim=True)
    spoken = (spoken - best).exp()
    state = F.one_hot(torch.zeros(len(labels), dtype=torch.int64), labels.shape[1]).to(dtype)
    total = torch.zeros(len(labels), dtype=dtype)
    s = torch.arange(labels.shape[1])
    own = s <= 2 * target_lengths[:, None]  # what runs on into the padding of the text would leave nothing of the rest
    for t in range(log_probs.shape[1]):
        ahead = (state[:, None, :] @ band)[:, 0] * spoken[:, t] * own
        size = ahead.sum(1, keepdim=True)
        alive = (t < input_lengths)[:, None]
        state = torch.where(alive, ahead / size, state)
        total = total + torch.where(alive, size.log() + best[:, t], torch.zeros_like(size))[:, 0]
    ends = (s[None] <= 2 * target_lengths[:, None]) & (s[None] >= 2 * target_lengths[:, None] - 1)
    chance = (state * ends).sum(1)
    lost = chance == 0
    loss = -(total + torch.where(lost, torch.ones_like(chance), chance).log())
    return torch.where(lost, torch.full_like(loss, torch.inf), loss)


class AcousticModel(nn.Module):
    def __init__(self, features, hidden_size, classes, dtype=torch.float32):
        super().__init__()
        layers = {
            "lstm": nn.LSTM(features, hidden_size, batch_first=True, bidirectional=True, dtype=dtype),
            "head": nn.Linear(2 * hidden_size, classes, dtype=dtype),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x, input_lengths):
        order = torch.argsort(input_lengths, descending=True)
        packed = nn.utils.rnn.pack_padded_sequence(x[order], input_lengths[order], batch_first=True)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], True, total_length=x.shape[1])
        answers = torch.empty_like(outputs)
        answers[order] = outputs
        return F.log_softmax(self.head(answers), dim=-1)


def fit(model, x, input_lengths, targets, target_lengths, batches, learning_rate):
    losses, optimiser = [], torch.optim.Adam(model.parameters(), learning_rate)
    for rows in batches.unbind():
        loss = ctc_loss(model(x[rows], input_lengths[rows]), targets[rows], input_lengths[rows], target_lengths[rows])
        loss = loss.mean()
        for parameter in model.parameters():
            parameter.grad = None
        loss.backward()
        optimiser.step()
        losses.append(loss.detach().item())
    return losses
