"""The same with tensors that are joined and cut instead of a ring, arithmetic instead of choices, and Huber from torch."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F


class QNetwork(nn.Module):
    def __init__(self, states, actions, width, dtype=torch.float32):
        super().__init__()
        self.embed = nn.Embedding(states, width, dtype=dtype)
        self.hidden = nn.Linear(width, width, dtype=dtype)
        self.worth = nn.Linear(width, 1, dtype=dtype)
        self.better = nn.Linear(width, actions, dtype=dtype)

    def forward(self, states):
        hidden = torch.relu(F.linear(self.embed.weight[states], self.hidden.weight, self.hidden.bias))
        better = self.better(hidden)
        return self.worth(hidden) + better - better.sum(dim=-1, keepdim=True) / better.shape[-1]


@torch.no_grad()
def td_target(rewards, terminated, truncated, next_online, next_target, gamma):
    rows = torch.arange(next_online.shape[0])
    later = next_target[rows, torch.argmax(next_online, 1)]
    goes_on = 1 - terminated.to(later.dtype)
    return torch.addcmul(rewards, goes_on, later, value=gamma)


def q_loss(online, target, batch, gamma):
    states, following = batch["states"], batch["next_states"]
    both = online(torch.cat([states, following]))
    said = both[: len(states)].take_along_dim(batch["actions"].reshape(-1, 1), 1).squeeze(1)
    wanted = td_target(
        rewards=batch["rewards"],
        terminated=batch["terminated"],
        truncated=batch["truncated"],
        next_online=both[len(states) :],
        next_target=target(following),
        gamma=gamma,
    )
    return F.huber_loss(said, wanted)


class ReplayBuffer:
    def __init__(self, capacity):
        self.most = capacity
        self.kept = None

    def push(self, batch):
        old = self.kept or {key: value[:0] for key, value in batch.items()}
        self.kept = {key: torch.cat([old[key], value])[-self.most :] for key, value in batch.items()}

    def sample(self, uniforms):
        count = self.kept["states"].numel()
        return {
            key: value.index_select(0, torch.floor(uniforms * count).to(torch.int64))
            for key, value in self.kept.items()
        }


def epsilon(step, steps, start, end):
    done = max(0.0, 1 - step / steps)
    return end + (start - end) * done


def act(values, epsilon, uniforms):
    chance, which = uniforms.unbind(1)
    moves = values.max(1).indices
    explores = chance < epsilon
    moves[explores] = torch.floor(which[explores] * values.size(1)).long()
    return moves


def hard_update(target, online):
    mine = dict(online.named_parameters())
    for name, parameter in target.named_parameters():
        parameter.data = mine[name].detach().clone()


def play(online, next_states, rewards, ends, limit, starts, draws, picks, capacity, gamma, rate, every):
    target, ring = copy.deepcopy(online), ReplayBuffer(capacity)
    adam = torch.optim.Adam(online.parameters(), lr=rate)
    rounds, states, ages = draws.shape[0], starts.clone(), starts * 0
    losses, tables = [], []
    for step in range(rounds):
        with torch.no_grad():
            actions = act(online(states), epsilon(step, (rounds + 1) // 2, 1.0, 0.1), draws[step][:, :2])
        ages = ages + 1
        here = {"states": states, "actions": actions, "rewards": rewards[states, actions]}
        here["next_states"], here["terminated"] = next_states[states, actions], ends[states, actions]
        here["truncated"] = ages >= limit
        ring.push(here)
        stop = here["terminated"] | here["truncated"]
        fresh = torch.floor(draws[step][:, 2] * rewards.shape[0]).long()
        states, ages = torch.where(stop, fresh, here["next_states"]), ages * ~stop
        adam.param_groups[0]["lr"] = rate - rate * step / rounds
        loss = q_loss(online, target, ring.sample(picks[step]), gamma)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if not (step + 1) % every:
            hard_update(target, online)
            tables.append(online(torch.arange(rewards.shape[0])).detach())
    return losses, torch.stack(tables)
