"""The same with a deque of rows for a ring, one-hot products for look-ups, and loops over games."""

from __future__ import annotations

import copy
from collections import deque

import torch
from torch import nn

KEYS = ("states", "actions", "rewards", "next_states", "terminated", "truncated")


class QNetwork(nn.Module):
    def __init__(self, states, actions, width, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Embedding(states, width, dtype=dtype)
        self.hidden = nn.Linear(width, width, dtype=dtype)
        self.worth = nn.Linear(width, 1, dtype=dtype)
        self.better = nn.Linear(width, actions, dtype=dtype)

    def forward(self, states):
        hidden = torch.clamp(self.hidden(self.embed(states)), min=0)
        better = self.better(hidden)
        return better + (self.worth(hidden) - better.mean(1, keepdim=True))


def td_target(rewards, terminated, truncated, next_online, next_target, gamma):
    with torch.no_grad():
        targets = rewards.clone()
        for row in range(len(rewards)):
            if not terminated[row]:
                best = int(next_online[row].argmax())
                targets[row] += gamma * next_target[row, best]
        return targets


def q_loss(online, target, batch, gamma):
    table = online(batch["states"])
    taken = torch.nn.functional.one_hot(batch["actions"], table.shape[1]).to(table.dtype)
    values = (table * taken).sum(1)
    told = [batch[key] for key in ("rewards", "terminated", "truncated")]
    after = batch["next_states"]
    wanted = td_target(*told, online(after).detach(), target(after).detach(), gamma)
    gaps = (values - wanted).abs()
    near = gaps.clamp(max=1)
    return (near * near / 2 + (gaps - near)).mean()


class ReplayBuffer:
    def __init__(self, capacity):
        self.steps = deque(maxlen=capacity)
        self.dtypes = {}

    def push(self, batch):
        self.dtypes = {key: value.dtype for key, value in batch.items()}
        self.steps.extend(zip(*(batch[key].tolist() for key in KEYS), strict=True))

    def sample(self, uniforms):
        count = len(self.steps)
        rows = [self.steps[int(number * count)] for number in uniforms.tolist()]
        columns = zip(*rows, strict=True)
        return {key: torch.tensor(column, dtype=self.dtypes[key]) for key, column in zip(KEYS, columns, strict=True)}


def epsilon(step, steps, start, end):
    if step >= steps:
        return float(end)
    return start + (end - start) * step / steps


def act(values, epsilon, uniforms):
    moves = []
    for row, (chance, which) in zip(values, uniforms.tolist(), strict=True):
        moves.append(int(which * len(row)) if chance < epsilon else int(row.argmax()))
    return torch.tensor(moves)


def hard_update(target, online):
    with torch.no_grad():
        for old, new in zip(target.parameters(), online.parameters(), strict=True):
            old.copy_(new)


def play(online, next_states, rewards, ends, limit, starts, draws, picks, capacity, gamma, rate, every):
    target, buffer = copy.deepcopy(online), ReplayBuffer(capacity)
    adam = torch.optim.Adam(online.parameters(), lr=rate)
    states, ages, losses, tables = starts, torch.zeros_like(starts), [], []
    for step in range(len(draws)):
        share = epsilon(step, (len(draws) + 1) // 2, 1.0, 0.1)
        actions = act(online(states).detach(), share, draws[step, :, :2])
        ages = ages + 1
        there, over, out = next_states[states, actions], ends[states, actions], ages >= limit
        paid = rewards[states, actions]
        buffer.push(dict(zip(KEYS, (states, actions, paid, there, over, out), strict=True)))
        states = torch.where(over | out, (draws[step, :, 2] * len(rewards)).long(), there)
        ages = torch.where(over | out, 0, ages)
        for group in adam.param_groups:
            group["lr"] = rate * (1 - step / len(draws))
        adam.zero_grad()
        loss = q_loss(online, target, buffer.sample(picks[step]), gamma)
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
        if step % every == every - 1:
            hard_update(target, online)
            tables.append(online(torch.arange(len(rewards))).detach())
    return losses, torch.stack(tables)
