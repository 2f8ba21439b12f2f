"""The same with the trunk and the heads differentiated apart, each task by a function of its own, and products kept in a table."""

import torch
from torch import nn
from torch.nn import functional as F


def weighted_terms(losses, log_variances, labelled):
    precision = torch.exp(-log_variances)
    weights = torch.stack([precision[0] / 2, precision[1] / 2, precision[2]])
    return (weights * losses + 0.5 * log_variances) * labelled


def _regression(answer, target, there):
    return F.mse_loss(answer[there], target[there])


def _classification(scores, target, there):
    logs = F.log_softmax(scores[there], dim=-1)
    return -logs[torch.arange(len(logs)), target[there]].mean()


def masked_losses(outputs, targets, known):
    kinds = (_regression, _regression, _classification)
    losses = [0 * output.flatten()[0] for output in outputs]
    for task in known.any(0).nonzero()[:, 0].tolist():
        losses[task] = kinds[task](outputs[task], targets[task], known[:, task])
    return torch.stack(losses)


class RoadNet(nn.Module):
    def __init__(self, channels, rows, columns, width, features, classes, dtype=torch.float32):
        super().__init__()
        self.first = nn.Conv2d(channels, width, kernel_size=3, stride=2, padding=1).to(dtype)
        self.second = nn.Conv2d(width, width * 2, kernel_size=3, stride=2, padding=1).to(dtype)
        with torch.no_grad():
            flat = self.second(self.first(torch.zeros(1, channels, rows, columns, dtype=dtype))).numel()
        self.squeeze = nn.Linear(flat, features).to(dtype)
        self.offset, self.gap = nn.Linear(features, 1).to(dtype), nn.Linear(features, 1).to(dtype)
        self.sign = nn.Linear(features, classes).to(dtype)
        self.register_parameter("log_variances", nn.Parameter(torch.zeros(3).to(dtype)))

    def forward(self, images):
        found = F.relu(self.second(F.relu(self.first(images))))
        found = F.relu(self.squeeze(found.reshape(found.shape[0], -1)))
        offset, gap = torch.cat([self.offset(found), self.gap(found)], 1).T
        return offset, gap, self.sign(found)


def project_conflicts(gradients, order):
    products = gradients @ gradients.T  # of what stands by now (rows) with what was passed in (columns)
    shares = torch.eye(len(gradients), dtype=gradients.dtype)
    now = products.clone()
    for row in range(len(gradients)):
        for other in order.tolist():
            if other == row or now[row, other] >= 0:
                continue
            part = now[row, other] / products[other, other]
            shares[row, other] -= part
            now[row] -= part * products[other]
    return shares @ gradients


def step_gradients(model, images, targets, known, order):
    trunk = {name: p for name, p in model.named_parameters() if name.split(".")[0] in ("first", "second", "squeeze")}
    rest = {name: p for name, p in model.named_parameters() if name not in trunk}
    terms = weighted_terms(masked_losses(model(images), targets, known), model.log_variances, known.any(0))
    loss = terms.sum()
    plain = torch.autograd.grad(loss, tuple(rest.values()), retain_graph=True, allow_unused=True)
    gradients = {
        name: torch.zeros_like(p) if slope is None else slope
        for (name, p), slope in zip(rest.items(), plain, strict=True)
    }
    rows = []
    for task in range(3):
        slopes = torch.autograd.grad(terms[task], tuple(trunk.values()), retain_graph=True, allow_unused=True)
        slopes = [torch.zeros_like(p) if s is None else s for p, s in zip(trunk.values(), slopes, strict=True)]
        rows.append(nn.utils.parameters_to_vector(slopes))
    moved = project_conflicts(torch.stack(rows), order).sum(dim=0)
    start = 0
    for name, p in trunk.items():
        gradients[name] = moved[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
    return loss, gradients


def multitask_gain(together, alone, lower_is_better):
    signs = 1 - 2 * lower_is_better.to(together.dtype)
    return (signs * (together / alone - 1)).sum() / len(together) * 100


def fit(model, images, targets, known, batches, orders, learning_rate):
    named = dict(model.named_parameters())
    scales = [named.pop("log_variances")]
    weights = list(named.values())
    optimisers = [torch.optim.Adam(weights), torch.optim.Adam(scales)]
    losses = []
    for step, (rows, order) in enumerate(zip(batches, orders, strict=True)):
        batch = [images[rows], [target[rows] for target in targets], known[rows]]
        loss, gradients = step_gradients(model, *batch, order)
        for name, p in model.named_parameters():
            p.grad = gradients[name].clone()
        for optimiser, factor in zip(optimisers, (1, 10), strict=True):
            optimiser.param_groups[0]["lr"] = factor * learning_rate * (1 - step / len(batches))
            optimiser.step()
        losses.append(loss.item())
    return losses
