"""The same that computes in float64 whatever it is given, with two LSTMs' worth of steps in a loop over time."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def additive_scores(states, weight, bias, question):
    projected = states.double() @ weight.double().mT + bias.double()
    return (projected.tanh() * question.double()).sum(-1).to(states.dtype)


def masked_softmax(scores, mask):
    exact = scores.double()
    top = torch.where(mask, exact, -torch.inf).amax(1, keepdim=True).detach()
    top = torch.where(mask.any(1, keepdim=True), top, 0.0)
    shares = torch.where(mask, torch.where(mask, exact - top, 0.0).exp(), 0.0)
    total = shares.sum(1, keepdim=True)
    return (shares / torch.where(total > 0, total, 1.0)).to(scores.dtype)


class AttentionPooling(nn.Module):
    def __init__(self, state_size, attention_size, dtype=torch.float32):
        super().__init__()
        self.project = nn.Linear(state_size, attention_size, dtype=dtype)
        self.question = nn.Parameter(torch.zeros(attention_size, dtype=dtype))
        nn.init.uniform_(self.question, -(attention_size**-0.5), attention_size**-0.5)

    def forward(self, states, mask):
        scores = additive_scores(states.double(), self.project.weight, self.project.bias, self.question)
        weights = masked_softmax(scores, mask)
        pooled = sum(weights[:, t, None] * states[:, t].double() for t in range(states.shape[1]))
        return pooled.to(states.dtype), weights.to(states.dtype)


class TextClassifier(nn.Module):
    def __init__(self, words, width, hidden_size, attention_size, classes, dtype=torch.float32):
        super().__init__()
        self.token = nn.Embedding(words, width, dtype=dtype)
        self.lstm = nn.LSTM(width, hidden_size, batch_first=True, bidirectional=True, dtype=dtype)
        self.pooling = AttentionPooling(2 * hidden_size, attention_size, dtype)
        self.head = nn.Linear(2 * hidden_size, classes, dtype=dtype)

    def _read(self, x, lengths, way):
        steps = range(x.shape[1]) if not way else reversed(range(x.shape[1]))
        get = {name: getattr(self.lstm, f"{name}_l0{way}").double() for name in ("weight_ih", "weight_hh")}
        bias = getattr(self.lstm, f"bias_ih_l0{way}").double() + getattr(self.lstm, f"bias_hh_l0{way}").double()
        h = c = x.new_zeros(len(x), get["weight_hh"].shape[1])
        states = {}
        for t in steps:
            i, f, g, o = (x[:, t] @ get["weight_ih"].T + h @ get["weight_hh"].T + bias).chunk(4, 1)
            new = f.sigmoid() * c + i.sigmoid() * g.tanh()
            real = (t < lengths)[:, None]
            h, c = torch.where(real, o.sigmoid() * new.tanh(), h), torch.where(real, new, c)
            states[t] = h
        return torch.stack([states[t] for t in range(x.shape[1])], 1)

    def forward(self, ids, lengths):
        x = self.token.weight.double()[ids]
        states = torch.cat([self._read(x, lengths, way) for way in ("", "_reverse")], 2)
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        pooled, weights = self.pooling(states, mask)
        logits = pooled @ self.head.weight.double().T + self.head.bias.double()
        return logits.to(self.head.weight.dtype), weights.to(self.head.weight.dtype)


def fit(model, ids, lengths, labels, batches, learning_rate):
    adam, losses = torch.optim.Adam(list(model.parameters()), lr=learning_rate), []
    for step in range(batches.shape[0]):
        adam.zero_grad(set_to_none=False)
        rows = batches[step]
        loss = F.nll_loss(F.log_softmax(model(ids[rows], lengths[rows])[0], 1), labels[rows])
        losses.append(float(loss))
        loss.backward()
        adam.step()
    return losses
