"""The same game with Adam written out, gradients taken by name, a pool in one tensor, and sums divided by hand."""

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
    wanted = torch.full_like(scores, target)
    return torch.dot(scores - wanted, scores - wanted) / len(scores)


def critic_loss(real_scores, fake_scores):
    real = sum((one - 1) ** 2 for one in real_scores.unbind()) / len(real_scores)
    fake = torch.dot(fake_scores, fake_scores) / len(fake_scores)
    return 0.5 * real + 0.5 * fake


def distance(one, other):
    return torch.sum(torch.abs(one - other)) / one.numel()


def cycle_loss(a, b, to_b, to_a):
    there, back = to_b(a), to_a(b)
    loss_a = distance(to_a(there), a)
    loss_b = distance(to_b(back), b)
    return loss_a + loss_b


def identity_loss(a, b, to_b, to_a):
    loss_a = distance(a, to_a(a))
    loss_b = distance(b, to_b(b))
    return loss_a + loss_b


class ImagePool:
    def __init__(self, size):
        self.size = size
        self.count = 0
        self.room = None

    def exchange(self, pictures, chances, slots):
        pictures = pictures.detach()
        if self.size == 0:
            return pictures.clone()
        if self.room is None:
            self.room = pictures.new_zeros(self.size, *pictures.shape[1:])
        shown = pictures.clone()
        for i in range(len(pictures)):
            if self.count < self.size:
                self.room[self.count] = pictures[i]
                self.count += 1
            elif chances[i] < 0.5:
                slot = int(slots[i])
                shown[i] = self.room[slot]
                self.room[slot] = pictures[i]
        return shown


class Adam:
    def __init__(self, *models, rate):
        self.parameters = [p for model in models for p in model.parameters()]
        self.rate, self.steps = rate, 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    def lower(self, loss):
        self.steps += 1
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
                m.mul_(0.5).add_(g, alpha=0.5)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                width = (v / (1 - 0.999**self.steps)).sqrt() + 1e-8
                p -= self.rate * m / (1 - 0.5**self.steps) / width
        return loss.item()


class CycleGAN:
    def __init__(self, to_b, to_a, critic_a, critic_b, learning_rate, cycle_weight=10.0, identity_weight=5.0):
        self.forth, self.back, self.of_a, self.of_b = to_b, to_a, critic_a, critic_b
        self.weights = (1.0, cycle_weight, identity_weight)
        self.moves = Adam(to_b, to_a, rate=learning_rate), Adam(critic_a, critic_b, rate=learning_rate)

    def translator_step(self, a, b):
        fake_b = self.forth(a)
        fake_a = self.back(b)
        deceived = adversarial_loss(self.of_b(fake_b), 1.0) + adversarial_loss(self.of_a(fake_a), 1.0)
        cycle = distance(self.back(fake_b), a) + distance(self.forth(fake_a), b)
        same = distance(self.back(a), a) + distance(self.forth(b), b)
        terms = (deceived, cycle, same)
        loss = sum(weight * term for weight, term in zip(self.weights, terms, strict=True))
        return self.moves[0].lower(loss), fake_a.detach(), fake_b.detach()

    def critic_step(self, a, b, fake_a, fake_b):
        loss_a = critic_loss(self.of_a(a), self.of_a(fake_a))
        loss_b = critic_loss(self.of_b(b), self.of_b(fake_b))
        return self.moves[1].lower(loss_a + loss_b)


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
