"""Every network is called once a step on all that it has to see; losses are torch's own, critics are frozen by a flag."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F


class Translator(nn.Module):
    def __init__(self, pixels, hidden, dtype=torch.float32):
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden, dtype=dtype)
        self.output = nn.Linear(hidden, pixels, dtype=dtype)

    def forward(self, pictures):
        return torch.tanh(self.output(self.hidden(pictures).relu()))


class Critic(nn.Module):
    def __init__(self, pixels, hidden, dtype=torch.float32):
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden, dtype=dtype)
        self.output = nn.Linear(hidden, 1, dtype=dtype)

    def forward(self, pictures):
        return self.output(F.leaky_relu(self.hidden(pictures), 0.2))[:, 0]


class Affine(nn.Module):
    def __init__(self, scale, shift, dtype=torch.float32):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=dtype))
        self.shift = nn.Parameter(torch.tensor(shift, dtype=dtype))

    def forward(self, pictures):
        return self.scale * pictures + self.shift


def adversarial_loss(scores, target):
    return F.mse_loss(scores, scores.new_full(scores.shape, target))


def critic_loss(real_scores, fake_scores):
    losses = [adversarial_loss(real_scores, 1.0), adversarial_loss(fake_scores, 0.0)]
    return torch.stack(losses).mean()


def round_trips(a, b, to_b, to_a):
    """Translations of both, the distances from what came home, and those from what had no need to go."""
    fake_b, same_b = to_b(torch.cat([a, b])).split([len(a), len(b)])
    fake_a, same_a, back_a = to_a(torch.cat([b, a, fake_b])).split([len(b), len(a), len(a)])
    back_b = to_b(fake_a)
    cycle = F.l1_loss(back_a, a) + F.l1_loss(back_b, b)
    identity = F.l1_loss(same_a, a) + F.l1_loss(same_b, b)
    return fake_a, fake_b, cycle, identity


def cycle_loss(a, b, to_b, to_a):
    return round_trips(a, b, to_b, to_a)[2]


def identity_loss(a, b, to_b, to_a):
    return round_trips(a, b, to_b, to_a)[3]


class ImagePool:
    def __init__(self, size):
        self.kept = dict.fromkeys(range(size))

    def exchange(self, pictures, chances, slots):
        answer = []
        free = [slot for slot, picture in self.kept.items() if picture is None]
        for picture, low, slot in zip(pictures.detach().clone(), chances < 0.5, slots, strict=True):
            place, old = int(slot), picture
            if free:
                self.kept[free.pop(0)] = picture
            elif low and self.kept:
                old = self.kept[place]
                self.kept[place] = picture
            answer.append(old[None])
        return torch.cat(answer)


class CycleGAN:
    def __init__(self, to_b, to_a, critic_a, critic_b, learning_rate, cycle_weight=10.0, identity_weight=5.0):
        self.pair = (to_b, to_a)
        self.judges = (critic_a, critic_b)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.adams = []
        for models in (self.pair, self.judges):
            owned = list(itertools.chain.from_iterable(model.parameters() for model in models))
            self.adams.append(torch.optim.Adam(owned, lr=learning_rate, betas=(0.5, 0.999)))

    def _update(self, adam, loss):
        adam.zero_grad()
        loss.backward()
        adam.step()
        return float(loss)

    def translator_step(self, a, b):
        for judge in self.judges:
            judge.requires_grad_(False)
        fake_a, fake_b, cycle, identity = round_trips(a, b, *self.pair)
        loss = self.cycle_weight * cycle + self.identity_weight * identity
        for judge, fake in zip(self.judges, (fake_a, fake_b), strict=True):
            loss = loss + adversarial_loss(judge(fake), 1.0)
        loss = self._update(self.adams[0], loss)
        for judge in self.judges:
            judge.requires_grad_(True)
        return loss, fake_a.detach(), fake_b.detach()

    def critic_step(self, a, b, fake_a, fake_b):
        loss = 0.0
        for judge, real, fake in zip(self.judges, (a, b), (fake_a, fake_b), strict=True):
            of_real, of_fake = judge(torch.cat([real, fake])).split([len(real), len(fake)])
            loss = loss + critic_loss(of_real, of_fake)
        return self._update(self.adams[1], loss)


def fit(gan, a, b, batches_a, batches_b, pool_size, generator):
    pool_a, pool_b, losses = ImagePool(pool_size), ImagePool(pool_size), []
    count = batches_a.shape[1]
    for rows_a, rows_b in zip(batches_a, batches_b, strict=True):
        chances = torch.rand(2, count, generator=generator)
        slots = torch.randint(max(1, pool_size), (2, count), generator=generator)
        loss, fake_a, fake_b = gan.translator_step(a[rows_a], b[rows_b])
        fake_a = pool_a.exchange(fake_a, chances[0], slots[0])
        fake_b = pool_b.exchange(fake_b, chances[1], slots[1])
        losses.append((loss, gan.critic_step(a[rows_a], b[rows_b], fake_a, fake_b)))
    return losses
