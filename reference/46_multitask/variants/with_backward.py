"""The same with backward() and .grad, masks as numbers, one matrix of scores for all that is projected."""

import math

import torch
from torch import nn


def weighted_terms(losses, log_variances, labelled):
    deviations = (log_variances / 2).exp()
    terms = []
    for task in range(3):
        if not labelled[task]:
            terms.append(losses.new_zeros(()))
            continue
        share = 1.0 if task == 2 else 0.5
        terms.append(share * losses[task] / deviations[task] ** 2 + deviations[task].log())
    return torch.stack(terms)


def masked_losses(outputs, targets, known):
    offset, gap, scores = outputs
    found = []
    for answer, target, there in ((offset, targets[0], known[:, 0]), (gap, targets[1], known[:, 1])):
        safe = torch.where(there, target, answer.detach())
        found.append((answer - safe).pow(2).sum() / max(1, int(there.sum())))
    there = known[:, 2]
    safe = torch.where(there, targets[2], 0)
    surprise = torch.logsumexp(scores, 1) - scores.gather(1, safe[:, None])[:, 0]
    found.append(torch.where(there, surprise, 0).sum() / max(1, int(there.sum())))
    return torch.stack(found)


class RoadNet(nn.Module):
    def __init__(self, channels, rows, columns, width, features, classes, dtype=torch.float32):
        super().__init__()
        kind = {"dtype": dtype}
        self.log_variances = nn.Parameter(torch.tensor([0.0, 0.0, 0.0], **kind))
        for name, outputs in (("sign", classes), ("gap", 1), ("offset", 1)):
            setattr(self, name, nn.Linear(features, outputs, **kind))
        places = math.ceil(rows / 4) * math.ceil(columns / 4)
        self.squeeze = nn.Linear(2 * width * places, features, **kind)
        self.second = nn.Conv2d(width, 2 * width, (3, 3), (2, 2), (1, 1), **kind)
        self.first = nn.Conv2d(channels, width, (3, 3), (2, 2), (1, 1), **kind)

    def forward(self, images):
        x = images
        for layer in (self.first, self.second):
            x = torch.clamp(layer(x), min=0)
        x = torch.clamp(self.squeeze(x.reshape(len(x), -1)), min=0)
        return self.offset(x).squeeze(-1), self.gap(x).squeeze(-1), self.sign(x)


def project_conflicts(gradients, order):
    projected = gradients.clone()
    for other in order:
        against = gradients[other]
        square = (against * against).sum()
        shares = torch.where(square > 0, projected @ against / square, 0).clamp(max=0)
        shares[other] = 0
        projected -= shares[:, None] * against
    return projected


def step_gradients(model, images, targets, known, order):
    kept = {name: p.grad for name, p in model.named_parameters()}
    terms = weighted_terms(masked_losses(model(images), targets, known), model.log_variances, known.any(dim=0))
    names = [name for name in dict(model.named_parameters()) if name.startswith(("first", "second", "squeeze"))]
    plain, rows = {name: torch.zeros_like(p) for name, p in model.named_parameters()}, []
    for term in terms:
        model.zero_grad(set_to_none=False)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        if term.requires_grad:
            term.backward(retain_graph=True)
        for name, p in model.named_parameters():
            plain[name] = plain[name] + p.grad
        rows.append(torch.cat([model.get_parameter(name).grad.reshape(-1) for name in names]))
    total = project_conflicts(torch.stack(rows), order).sum(0)
    for name in names:
        size = plain[name].numel()
        plain[name], total = total[:size].reshape(plain[name].shape), total[size:]
    for name, p in model.named_parameters():
        p.grad = kept[name]
    return terms.detach().sum(), plain


def multitask_gain(together, alone, lower_is_better):
    total = 0.0
    for mine, other, lower in zip(together, alone, lower_is_better, strict=True):
        ratio = mine / other
        total = total + (1 - ratio if lower else ratio - 1)
    return total / len(together) * 100


def fit(model, images, targets, known, batches, orders, learning_rate):
    parameters = dict(model.named_parameters())
    first, second = ({name: torch.zeros_like(p) for name, p in parameters.items()} for _ in range(2))
    losses = []
    for step in range(len(batches)):
        rows = batches[step]
        batch = images[rows], tuple(target[rows] for target in targets), known[rows]
        loss, gradients = step_gradients(model, *batch, orders[step])
        losses.append(loss.item())
        rate = learning_rate * (1 - step / len(batches))
        with torch.no_grad():
            for name, p in parameters.items():
                g, m, v = gradients[name], first[name], second[name]
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                speed = 10 * rate if name == "log_variances" else rate
                p -= speed * m / (1 - 0.9 ** (step + 1)) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    return losses
