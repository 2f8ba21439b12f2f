"""A field that nobody has seen, from transfer to score; and, run as a script, what trained the trunk of the visible suite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import assert_close, assert_that, load_state, normal, state_of, text

DATA = Path(__file__).parents[2] / "katas/43_transfer/trunk.json"
# Photos, channels, rows, columns; widths; classes before and after; rank, alpha; the counts of stages that thaw by and by.
FIELDS = [
    (7, 2, 5, 6, [3, 5, 4], 4, 3, 2, 5.0, (0, 2, 1)),
    (5, 1, 7, 4, [4, 2], 3, 3, 0, 1.0, (1, 0, 5)),
    (6, 3, 4, 4, [2, 3, 2, 5], 2, 6, 3, 1.0, (4, 3, 0)),
]
EPOCHS, SIDE = 100, 11


@pytest.mark.value
def test_fields_nobody_has_seen(solution, reference, rng):
    """From a source to the merged network and its score: numbers, losses and answers, phase by phase"""
    for count, channels, rows, columns, widths, before, after, rank, alpha, phases in FIELDS:
        images, labels = normal(rng, count, channels, rows, columns), torch.from_numpy(rng.integers(0, after, count))
        made = [each.Network(channels, widths, before, dtype=torch.float64) for each in (solution, reference)]
        names = [*dict(made[1].named_parameters()), *dict(made[1].named_buffers())]
        values = {name: normal(rng, *each.shape) / 2 for name, each in state_of(made[1], names).items()}
        values = {name: each.abs() + 0.5 if name.endswith(("var", "std")) else each for name, each in values.items()}
        sources = [load_state(each, values) for each in made]
        models = [
            each.transfer(source, after, rank, alpha)
            for each, source in zip((solution, reference), sources, strict=True)
        ]
        names = list(dict(models[1].named_parameters()))
        load_state(models[1], state_of(models[0], names))  # the learner's draw of what is new
        for stages in phases:
            batches = torch.from_numpy(rng.integers(0, count, (3, 4)))
            arguments = images, labels, batches, stages, 0.1, 0.4, 0.05
            losses = [each.fit(model, *arguments) for each, model in zip((solution, reference), models, strict=True)]
            moved = state_of(models[0], names)
            for name, value in state_of(models[1], names).items():
                after_it = text("{key} after {count} stages trained", key=name, count=stages)
                assert_close(moved[name], value, tol=1e-7, name=after_it)
            assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), tol=1e-5, name="cross-entropy")
        merged = [each.merge(model) for each, model in zip((solution, reference), models, strict=True)]
        logits = [each.eval()(images).detach() for each in merged]
        assert_close(logits[0], logits[1], tol=1e-7, name="logits after merge")
        adapters = [
            name for name, _ in merged[0].named_parameters() if ".conv." in name and not name.endswith("conv.weight")
        ]
        assert_that(not adapters, "the merged network still has {names}", names=adapters)
        scores = [each.macro_f1(logits[1].argmax(1), labels, after + 2) for each in (solution, reference)]
        assert_close(*scores, tol=1e-9, name="macro F1")


def _photos(digits: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """A plant somewhere in a field of 11 x 11, in the light of its day, as in the visible suite."""
    photos = rng.normal(0, 0.05, (len(digits), 1, SIDE, SIDE))
    for photo, digit in zip(photos, digits, strict=True):
        row, column = rng.integers(0, SIDE - 7, 2)
        photo[0, row : row + 8, column : column + 8] += rng.uniform(0.5, 1.5) * digit / 16
    return torch.from_numpy(photos).float()


def train() -> None:
    """Train a trunk with torch's own batch norm on the odd digits in four turns, and write it down in whole numbers."""
    from sklearn.datasets import load_digits

    told = json.loads(DATA.read_text(encoding="utf-8"))
    digits, rng = load_digits(), np.random.default_rng(43)
    torch.manual_seed(43)
    torch.set_num_threads(1)
    odd = digits.target % 2 == 1
    images = np.concatenate([np.rot90(digits.images[odd], turn, (1, 2)) for turn in range(4)])
    labels = torch.from_numpy(np.concatenate([digits.target[odd] // 2 * 4 + turn for turn in range(4)]))
    sample = _photos(images, rng)
    told["mean"], told["std"] = round(sample.mean().item(), 3), round(sample.std().item(), 3)
    layers: list[nn.Module] = []
    for place, (before, after) in enumerate(zip([1, *told["widths"]], told["widths"], strict=False)):
        layers += [nn.Conv2d(before, after, 3, 1 + (place == 1), 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    trunk, head = nn.Sequential(*layers), nn.Linear(told["widths"][-1], 20)
    model = nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    adam = torch.optim.Adam(model.parameters(), 5e-3, weight_decay=1e-4)
    for epoch in range(EPOCHS):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - epoch / EPOCHS)
        inputs = (_photos(images, rng) - told["mean"]) / told["std"]
        for rows in torch.from_numpy(rng.permutation(len(images))).split(128):
            loss = F.cross_entropy(model(inputs[rows]), labels[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
    told["tensors"] = {}
    for place in range(len(told["widths"])):
        conv, norm = trunk[3 * place], trunk[3 * place + 1]
        found = {"conv.weight": conv.weight}
        found |= {f"norm.{name}": norm.get_buffer(name) for name in ("running_mean", "running_var")}
        found |= {f"norm.{name}": norm.get_parameter(name) for name in ("weight", "bias")}
        for name, value in found.items():
            step = float(f"{value.abs().max().item() / 99:.2g}")
            numbers = (value / step).round().int().flatten().tolist()
            told["tensors"][f"stages.{place}.{name}"] = {"step": step, "shape": list(value.shape), "numbers": numbers}
    tensors = ",\n".join(f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in told.pop("tensors").items())
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in told.items())
    DATA.write_text("{\n" + lines + ',\n "tensors": {\n' + tensors.replace(", ", ",") + "\n }\n}\n", encoding="utf-8")


if __name__ == "__main__":
    train()
