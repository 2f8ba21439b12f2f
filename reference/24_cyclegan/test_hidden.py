"""What learners do not see of kata 24: a pool over a long history, and a whole fit, from its first round to its last."""

from __future__ import annotations

import pytest
import torch

from grader.checks import assert_close, assert_trajectory, load_state, normal, state_of, text

# What the pool holds, pictures a call, calls.
POOLS = [(3, 4, 12), (1, 5, 9), (0, 3, 4), (50, 7, 40), (8, 1, 60), (5, 5003, 2)]
PARTS = ("to_b", "to_a", "critic_a", "critic_b")
PARAMETERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
# Pictures of A, of B, pixels, hidden units, pictures a step, steps, what the pools hold.
FITS = [(7, 9, 5, 6, 3, 14, 4), (4, 3, 6, 3, 2, 12, 0), (3, 8, 4, 5, 6, 12, 50)]


@pytest.mark.value
def test_a_long_history(solution, rng):
    """Whatever was exchanged before, a pool shows what it should, and every picture is shown once at most"""
    for size, count, calls in POOLS:
        pool, kept = solution.ImagePool(size), []
        for _ in range(calls):
            pictures, chances = normal(rng, count, 3), torch.from_numpy(rng.random(count)).float()
            slots = torch.from_numpy(rng.integers(0, max(1, size), count))
            wanted = pictures.clone()
            for row in range(count):
                if len(kept) < size:
                    kept.append(pictures[row])
                elif size > 0 and float(chances[row]) < 0.5:
                    wanted[row], kept[slots[row]] = kept[slots[row]], pictures[row]
            said = text("{count} pictures from a pool of {size}", count=count, size=size)
            shown = pool.exchange(pictures, chances, slots)
            assert_close(shown, wanted, tol=1e-9, name=said, help="old ones leave the pool when they are shown")


@pytest.mark.value
def test_whole_fits(solution, reference, rng):
    """With pools of several sizes, the given fit has the right losses in every round, and leaves the right weights"""
    help = "fit is given: it joins both steps by two pools"
    for in_a, in_b, pixels, hidden, count, steps, size in FITS:
        modules = {}
        for part in PARTS:
            kind = "Translator" if part.startswith("to") else "Critic"
            made = [getattr(each, kind)(pixels, hidden, dtype=torch.float64) for each in (solution, reference)]
            values = {
                name: value + normal(rng, *value.shape) / 5 for name, value in state_of(made[1], PARAMETERS).items()
            }
            modules[part] = [load_state(each, values) for each in made]
        a, b = torch.tanh(normal(rng, in_a, pixels)), torch.tanh(normal(rng, in_b, pixels))
        batches = [torch.from_numpy(rng.integers(0, each, (steps, count))) for each in (in_a, in_b)]
        seed, losses = int(rng.integers(2**31)), []
        for side, author in enumerate((solution, reference)):
            gan = author.CycleGAN(*(modules[part][side] for part in PARTS), 0.02, cycle_weight=3.0, identity_weight=2.0)
            pairs = author.fit(gan, a, b, *batches, size, torch.Generator().manual_seed(seed))
            losses.append([loss for pair in pairs for loss in pair])
        assert_trajectory(*losses, name=text("the losses of fit with pools of {size}", size=size), help=help)
        for part, (model, oracle) in modules.items():
            wanted = state_of(oracle, PARAMETERS)
            for name, value in state_of(model, PARAMETERS).items():
                said = text("{name} after fit", name=f"{part}.{name}")
                assert_close(value, wanted[name], tol=1e-6, name=said, help=help)
