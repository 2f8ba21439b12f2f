"""What learners do not see of kata 30: whole games, move by move, and one long life of a ring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_close, assert_trajectory, load_state, normal, state_of, text

KEYS = ("states", "actions", "rewards", "next_states", "terminated", "truncated")
# States, actions, width, games, batch, rounds, limit, capacity, rounds between updates.
GAMES = [(6, 4, 5, 4, 5, 13, 3, 17, 4), (3, 2, 4, 1, 3, 15, 1, 2, 4), (12, 3, 6, 7, 4, 12, 50, 400, 5)]
GAMES += [(4, 5, 3, 11, 3, 8, 4, 6, 3)]  # a push is longer than the ring
# What the ring holds, pushes, steps in each at the most.
LIVES = [(7, 40, 5), (50, 20, 120), (1, 12, 3), (1301, 8, 400)]


@pytest.mark.value
def test_games_nobody_has_seen(solution, reference, rng):
    """On games that are in no book, every loss is that of a player who keeps a plain list of what happened"""
    for states, actions, width, games, batch, rounds, limit, capacity, every in GAMES:
        shape, names = (states, actions), [name for name, _ in reference.QNetwork(*GAMES[0][:3]).named_parameters()]
        nets = [each.QNetwork(*shape, width, dtype=torch.float64) for each in (solution, reference, reference)]
        values = {name: normal(rng, *value.shape) / 2 for name, value in nets[1].state_dict().items()}
        model, online, target = (load_state(each, values) for each in nets)
        game = torch.from_numpy(rng.integers(0, states, shape)), normal(rng, *shape)
        game += (torch.from_numpy(rng.random(shape) < 0.2),)
        starts, draws = (
            torch.from_numpy(rng.integers(0, states, games)),
            torch.from_numpy(rng.random((rounds, games, 3))),
        )
        picks, gamma, rate = torch.from_numpy(rng.random((rounds, batch))), float(rng.uniform(0.5, 1)), 0.02
        losses, tables = solution.play(model, *game, limit, starts, draws, picks, capacity, gamma, rate, every)
        adam = torch.optim.Adam(online.parameters(), lr=rate)
        kept, here, ages, wanted, seen = [], starts.tolist(), [0] * games, [], []
        for step in range(rounds):
            share = float(np.interp(step, [0, (rounds + 1) // 2], [1, 0.1]))
            for each, (chance, which, anew) in enumerate(draws[step].tolist()):
                state, ages[each] = here[each], ages[each] + 1
                best = int(online(torch.tensor([state]))[0].argmax())
                action = int(which * actions) if chance < share else best
                after, paid, over = (table[state, action].item() for table in game)
                kept = [*kept, (state, action, paid, after, over, ages[each] >= limit)][-capacity:]
                here[each] = int(anew * states) if kept[-1][4] or kept[-1][5] else after
                ages[each] *= not (kept[-1][4] or kept[-1][5])
            rows, loss = [kept[int(number * len(kept))] for number in picks[step].tolist()], torch.zeros(()).double()
            for state, action, paid, after, over, _ in rows:
                with torch.no_grad():
                    choice = int(online(torch.tensor([after]))[0].argmax())
                    goal = paid if over else paid + gamma * target(torch.tensor([after]))[0, choice].item()
                gap = (online(torch.tensor([state]))[0, action] - goal).abs()
                loss = loss + torch.where(gap < 1, gap**2 / 2, gap - 0.5) / len(rows)
            adam.param_groups[0]["lr"] = rate * (1 - step / rounds)
            adam.zero_grad()
            loss.backward()
            adam.step()
            wanted.append(loss.item())
            if (step + 1) % every == 0:
                load_state(target, state_of(online, names))
                seen.append(online(torch.arange(states)).detach())
        assert_trajectory(losses, wanted, tol=1e-7, name="losses of play")
        assert_close(tables, torch.stack(seen), tol=1e-6, name="tables")


@pytest.mark.value
def test_a_long_life(solution, rng):
    """After any number of pushes of any length, the ring has the newest steps, oldest first"""
    for capacity, pushes, most in LIVES:
        ring, rows = solution.ReplayBuffer(capacity), {key: [] for key in KEYS}
        for _ in range(pushes):
            count = int(rng.integers(1, most + 1))
            batch = {key: torch.from_numpy(rng.integers(0, 10**6, count)) for key in KEYS}
            batch |= {"rewards": 1e3 * normal(rng, count)} | {key: batch[key] % 2 == 0 for key in KEYS[4:]}
            ring.push(batch)
            rows = {key: [*rows[key], *batch[key].tolist()][-capacity:] for key in KEYS}
            uniforms = torch.from_numpy(rng.random(9))
            places = (uniforms * len(rows["states"])).long().tolist()
            for key, value in ring.sample(uniforms).items():
                wanted = torch.tensor([rows[key][place] for place in places], dtype=batch[key].dtype)
                said = text("{key} from a ring of {capacity}", key=key, capacity=capacity)
                assert_close(value, wanted, tol=1e-12, name=said)
