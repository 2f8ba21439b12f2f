"""The suite of kata 30: targets, ring, moves and rounds beside torch and plain lists; then a game with an exact answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Steps, actions, states, width of the network.
SIZES = [(6, 3, 5, 4), (9, 4, 7, 3), (1, 5, 3, 6), (4, 1, 9, 2), (2, 2, 1, 5), (70, 6, 4, 68), (1203, 2, 90, 3)]
LONG = [(5003, 3, 4, 2), (3, 1203, 2, 2)]
# Gamma, and the scale of rewards and values; at the third, values are rounded, so that there are ties.
FAR = [(0.9, 1.0), (0.0, 300.0), (1.0, 8.0), (0.37, 0.2)]
# What the ring holds, and how many steps each push brings.
RINGS = [(3, [2, 2, 1, 3]), (4, [4, 1]), (3, [5, 2, 7]), (1, [1, 3, 1]), (5, [2]), (6, [1] * 14), (9, [4, 4, 4, 4])]
RINGS += [(70, [66, 1, 80]), (1203, [700, 700, 3]), (5003, [5000, 12])]
# Steps of the line, its beginning, its end.
LINES = [(10, 1.0, 0.1), (7, 0.9, 0.3), (1, 1.0, 0.0), (4, 0.0, 0.8), (1300, 0.5, 0.5), (200_000, 1.0, 0.01)]
# States, actions, width, games, batch, rounds, limit, capacity, rounds between updates, rate.
PLAYS = [(5, 3, 4, 3, 4, 14, 3, 10, 4, 0.02), (4, 2, 6, 2, 5, 13, 1, 1, 13, 0.05), (3, 4, 3, 1, 1, 12, 9, 40, 1, 0.1)]
PLAYS += [(9, 2, 5, 70, 3, 1, 2, 33, 1, 0.03), (4, 3, 3, 2, 3, 40, 4, 25, 9, 0.01)]
TOLD = ("rewards", "terminated", "truncated")
KEYS = ("states", "actions", "next_states", *TOLD)
LAYERS = ("hidden", "worth", "better")
PARAMETERS = ["embed.weight", *(f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias"))]
TOL, LAST = 1e-8, 1 - 2.0**-53

# The last test's game: C ends it with 0.6 and T with 1 for who takes what is there, o is a pit, taking costs 0.1 elsewhere.
MAP = "C..#.T", ".o.#..", "...o..", ".#...."
WAYS, ARROWS, PAYS = [(-1, 0), (0, 1), (1, 0), (0, -1), (0, 0)], "↑→↓←*", {"C": 0.6, "T": 1.0, ".": -0.1}
GAMMA, LIMIT, GAMES, BATCH, ROUNDS, RING, WIDTH, RATE, EVERY = 0.8, 6, 16, 96, 500, 4000, 48, 0.007, 20
ERROR = 0.1  # right ones end at 0.013, the worst of 20 at 0.022; without the ring 0.14 to 0.72, time for an end 0.17
SHORT = 0.05  # by how much a best move may be short of the really best; every other move is, by 0.056 at least


class _Net(nn.Module):
    """The oracle's network."""

    def __init__(self, states, actions, width):
        super().__init__()
        self.embed, self.hidden = nn.Embedding(states, width), nn.Linear(width, width)
        self.worth, self.better = nn.Linear(width, 1), nn.Linear(width, actions)
        self.double()

    def forward(self, states):
        hidden = self.hidden(self.embed(states)).relu()
        better = self.better(hidden)
        return self.worth(hidden) + (better - better.mean(1)[:, None])


def _nets(solution, rng, size, far=1.0):
    """Online and target network of the learner's, and two of the oracle's with the same numbers."""
    mine, oracles = [], []
    for _ in range(2):
        oracle, values = _Net(size[2], size[1], size[3]), {}
        for name, value in oracle.state_dict().items():
            scale = (far if name.startswith(("worth", "better")) else 1.0) / value.shape[-1] ** 0.25
            values[name] = scale * normal(rng, *value.shape)
        mine.append(load_state(solution.QNetwork(size[2], size[1], size[3], dtype=torch.float64), values))
        oracles.append(load_state(oracle, values))
    return mine, oracles


def _whole(rng, top, count):
    return torch.from_numpy(rng.integers(0, top, count))


def _batch(rng, size, far=1.0):
    """Steps of which the last is the first again."""
    count, actions, states, _ = size
    tops = {"states": states, "actions": actions, "next_states": states, "terminated": 2, "truncated": 2}
    batch = {key: _whole(rng, top, count) for key, top in tops.items()} | {"rewards": far * normal(rng, count)}
    batch |= {key: batch[key] > 0 for key in TOLD[1:]}
    for value in batch.values():
        value[-1] = value[0]
    return batch


def _told(batch):
    return {key: batch[key] for key in TOLD}


def _target(rewards, terminated, truncated, next_online, next_target, gamma):
    best = next_target[torch.arange(len(rewards)), next_online.numpy().argmax(1)]
    return torch.where(terminated, rewards, rewards + gamma * best)


def _loss(online, target, batch, gamma):
    with torch.no_grad():
        tables = online(batch["next_states"]), target(batch["next_states"])
        targets = _target(*_told(batch).values(), *tables, gamma)
    said = online(batch["states"])[torch.arange(len(targets)), batch["actions"]]
    return F.huber_loss(said, targets)


def _uniforms(rng, *shape):
    """Numbers in [0, 1), the first the largest that there is, and then 0."""
    found = torch.from_numpy(rng.random(shape))
    found.view(-1)[:2] = torch.tensor([LAST, 0.0], dtype=torch.float64)[: found.numel()]
    return found


def _sample(ring, uniforms):
    batch = ring.sample(uniforms)
    right = isinstance(batch, dict) and set(batch) == set(KEYS)
    assert_that(right, "sample must return the keys {keys}", keys=list(KEYS))
    return batch


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one step and for several, in float32 and in float64"""
    for index, (count, actions, states, width) in enumerate(SIZES):
        dtype, batch = (torch.float32, torch.float64)[index % 2], _batch(rng, SIZES[index])
        net, ring = solution.QNetwork(states, actions, width, dtype=dtype), solution.ReplayBuffer(4)
        batch["rewards"] = batch["rewards"].to(dtype)
        values = net(batch["states"])
        assert_shape(values, (count, actions), dtype=dtype, name="values")
        targets = solution.td_target(**_told(batch), next_online=values, next_target=values, gamma=0.9)
        assert_shape(targets, (count,), dtype=dtype, name="targets")
        assert_shape(solution.q_loss(net, net, batch, 0.9), (), dtype=dtype, name="loss")
        ring.push(batch)
        for key, value in _sample(ring, _uniforms(rng, 3)).items():
            assert_shape(value, (3,), dtype=batch[key].dtype, name=text("{key} of sample", key=key))
        assert_shape(solution.act(values, 0.5, _uniforms(rng, count, 2)), (count,), dtype=torch.int64, name="actions")
        assert_that(isinstance(solution.epsilon(index, 3, 1.0, 0.0), float), "epsilon must return a Python float")


@pytest.mark.value
def test_td_target(solution, rng):
    """The online network picks, the target network says what that is worth, and only the end of a game ends the sum"""
    help = "which table picks, and which says what it is worth? who has no next state: terminated, truncated, or both?"
    for size in SIZES + LONG:
        for index, (gamma, far) in enumerate(FAR):
            batch, tables = _batch(rng, size, far), [far * normal(rng, *size[:2]) for _ in range(2)]
            if index == 2:
                tables[0] = (tables[0] / far).round()
            for table in tables:
                table[-1] = table[0]
            given = _told(batch) | {"next_online": tables[0], "next_target": tables[1], "gamma": gamma}
            assert_agrees(solution.td_target, _target, given, rng, gradients=False, name="targets", help=help, tol=TOL)


@pytest.mark.gradient
def test_q_loss(solution, rng):
    """The mean Huber loss, near and far; gradients reach the actions that were taken, and none reaches what is measured by"""
    help = "one value per step, (N,) beside (N,); and both look at next states without a graph, also where one is both"
    for size in SIZES:
        for index, (gamma, far) in enumerate(FAR[: 4 if size[0] < 50 else 2]):
            (mine, other), (oracle, against) = _nets(solution, rng, size, far)
            if index % 2:
                other, against = mine, oracle
            calls = (
                lambda pair=(mine, other), gamma=gamma, **batch: solution.q_loss(*pair, batch, gamma),
                lambda pair=(oracle, against), gamma=gamma, **batch: _loss(*pair, batch, gamma),
            )
            batch = _batch(rng, size, far)
            how = {"modules": (mine, oracle), "parameters": PARAMETERS, "fixed": ["rewards"], "tol": TOL}
            assert_agrees(*calls, batch, rng, **how, name="loss", help=help)
            if other is not mine:
                calls[0](**batch).backward()
                for name, value in tensors_of(other, PARAMETERS).items():
                    still = value.grad is None or not value.grad.any()
                    assert_that(still, "a gradient reaches {name} of the target network", name=name, help=help)
        tables = [normal(rng, *size[:2]).requires_grad_() for _ in range(2)]
        targets = solution.td_target(*_told(batch).values(), *tables, 0.9)
        assert_that(not targets.requires_grad, "what td_target returns must come without a graph")


@pytest.mark.value
def test_ring(solution, rng):
    """A full ring writes over its oldest steps, and draws from those that are there, all of them and nothing else"""
    help = "the oldest goes first; of more rows than there is room for the last stay; room that is empty is never drawn"
    other = solution.ReplayBuffer(2)
    for capacity, pushes in RINGS:
        ring, rows = solution.ReplayBuffer(capacity), {key: [] for key in KEYS}
        for count in pushes:
            batch = _batch(rng, (count, 9, 5000, 0), 100.0)
            ring.push({key: as_view(value) for key, value in batch.items()})
            other.push(_batch(rng, (1, 3, 4, 0)))
            rows = {key: [*rows[key], *batch[key].tolist()][-capacity:] for key in KEYS}
            kept = len(rows["states"])
            every = (torch.arange(kept) + 0.5).double() / kept
            for uniforms in (every, _uniforms(rng, 7), torch.tensor([LAST, 0.5, 0.5], dtype=torch.float64)):
                found, places = _sample(ring, as_view(uniforms)), (uniforms * kept).long().tolist()
                for key in KEYS:
                    wanted = torch.tensor([rows[key][place] for place in places], dtype=batch[key].dtype)
                    said = text("{key} of {kept} steps in a ring of {capacity}", key=key, kept=kept, capacity=capacity)
                    assert_close(found[key], wanted, tol=1e-12, name=said, help=help)


@pytest.mark.value
def test_epsilon(solution):
    """The share of random moves goes from its start to its end along a line, and stays there"""
    for steps, start, end in LINES:
        for step in {0, 1, steps // 3, steps // 2, steps - 1, steps, steps + 1, 9 * steps + 5}:
            wanted = float(np.interp(step, [0, steps], [start, end]))
            name = text("epsilon({step}, {steps}, {start}, {end})", step=step, steps=steps, start=start, end=end)
            help = "start at step 0, end at the last step of the line, and no further"
            assert_close(solution.epsilon(step, steps, start, end), wanted, tol=1e-10, name=name, help=help)


@pytest.mark.value
def test_act(solution, rng):
    """Each game by itself makes a random move below epsilon, any move at all, and its best move elsewhere"""
    help = "below epsilon is random, at epsilon is not; each row has its own best action; a random one may be the last"
    for size in (SIZES + LONG) * 2:
        for share, far in ((0.0, 300.0), (0.3, 1.0), (0.5, 1.0), (1.0, 40.0)):
            values, uniforms = far * normal(rng, *size[:2]), _uniforms(rng, *size[:2])[:, :1].repeat(1, 2)
            if share == 0.5:
                values = values.round()  # so that there are ties
            uniforms[:, 1] = _uniforms(rng, size[0])
            uniforms[size[0] // 2, 0] = min(share, LAST)
            values[-1], uniforms[-1] = values[0], uniforms[0]
            rows = zip(values.numpy(), uniforms.tolist(), strict=True)
            wanted = torch.tensor([int(u[1] * len(v)) if u[0] < share else int(np.argmax(v)) for v, u in rows])
            found = solution.act(as_view(values), share, as_view(uniforms))
            assert_close(found, wanted, name=text("actions at epsilon {share}", share=share), help=help)


@pytest.mark.behaviour
def test_hard_update(solution, rng):
    """The target network has the numbers of the online one, again and again, and does not move along with it"""
    help = "numbers are copied into the target's own memory, every one of them, and from online"
    for size in SIZES:
        (online, target), _ = _nets(solution, rng, size)
        target.eval()
        for _ in range(2):
            before = state_of(online, PARAMETERS)
            solution.hard_update(target, online)
            assert_that(online.training and not target.training, "hard_update must leave the mode of both networks")
            load_state(online, {name: value + 1 + value.square() for name, value in before.items()})
            for name, value in state_of(target, PARAMETERS).items():
                assert_close(value, before[name], tol=1e-12, name=text("{name} of target", name=name), help=help)


def _game(rng, states, actions):
    """Where moves lead, what they pay, and what they end."""
    moves = torch.from_numpy(rng.integers(0, states, (states, actions)))
    return moves, normal(rng, states, actions), torch.from_numpy(rng.random((states, actions)) < 0.25)


@pytest.mark.value
def test_play(solution, reference, rng):
    """From given weights and draws, the loop has the right losses in every round, the right values and weights at last"""
    help = "play is given: is what the ring keeps a copy, is the target a network of its own, does the line end?"
    for states, actions, width, games, batch, rounds, limit, capacity, every, rate in PLAYS:
        (model, _), (oracle, _) = _nets(solution, rng, (0, actions, states, width))
        twin = load_state(reference.QNetwork(states, actions, width, dtype=torch.float64), state_of(oracle, PARAMETERS))
        starts, draws = _whole(rng, states, games), _uniforms(rng, rounds, games, 3)
        given = *_game(rng, states, actions), limit, starts, draws, _uniforms(rng, rounds, batch)
        rest = capacity, 0.9, rate, every
        result = solution.play(model, *map(as_view, given), *rest)
        losses, tables = assert_parts(result, ("losses", "tables"), name="play")
        expected, values = reference.play(twin, *given, *rest)
        assert_trajectory(losses, expected, tol=1e-7, name="q_loss of play", help=help)
        assert_close(tables, values, tol=1e-6, name="tables", help=help)
        for name, value in state_of(model, PARAMETERS).items():
            after = text("{name} after play", name=name)
            assert_close(value, twin.state_dict()[name], tol=1e-6, name=after, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No call changes what it is given, and what comes after it is as right as what came before"""
    for size in SIZES[:4]:
        (online, target), _ = _nets(solution, rng, size)
        batch, tables, uniforms = (
            _batch(rng, size),
            [normal(rng, *size[:2]) for _ in range(2)],
            _uniforms(rng, size[0], 2),
        )
        solution.q_loss(online, target, batch, 0.9)
        ring = solution.ReplayBuffer(3)
        ring.push(batch)
        ring.sample(uniforms[:, 0])
        solution.act(tables[0], 0.5, uniforms)
        solution.hard_update(target, online)
        game, starts = _game(rng, size[2], size[1]), torch.zeros(2, dtype=torch.int64)
        solution.play(online, *game, 3, starts, _uniforms(rng, 4, 2, 3), _uniforms(rng, 4, 5), 6, 0.9, 0.01, 2)
        given = *_told(batch).values(), *tables, 0.9
        assert_close(solution.td_target(*given), _target(*given), tol=TOL, name="targets")
    assert_unchanged(mutated, but=["target of hard_update", "online of play"])
    laws = layer_laws(
        {name: value.shape for name, value in _Net(12, 11, 10).state_dict().items()}, embeddings=["embed"]
    )
    assert_drawn(lambda: solution.QNetwork(12, 11, 10), laws, name="QNetwork")


def _grid():
    """The cells of the map, in order, its three tables, and the exact value of every move, by value iteration."""
    cells = [(y, x) for y, row in enumerate(MAP) for x, sign in enumerate(row) if sign in PAYS]
    shape = len(cells), len(WAYS)
    moves, rewards, ends, best = np.zeros(shape, int), np.zeros(shape), np.zeros(shape, bool), np.zeros(shape)
    for number, (y, x) in enumerate(cells):
        for way, (down, right) in enumerate(WAYS):
            sign = {(i, j): MAP[i][j] for i in range(4) for j in range(6)}.get((y + down, x + right), "#")
            take, there = (down, right) == (0, 0), (y + down, x + right)
            moves[number, way] = cells.index(there) if there in cells else number
            rewards[number, way] = PAYS[sign] if take else -1.0 if sign == "o" else -0.02
            ends[number, way] = sign == "o" or (take and sign != ".")
    for _ in range(200):
        best = rewards + GAMMA * ~ends * best.max(1)[moves]
    return cells, moves, rewards, ends, best


@pytest.mark.convergence
def test_finds_the_best_values(solution, rng, record):
    """From games alone, every value of every move comes to that of value iteration, and the best moves are really best"""
    cells, moves, rewards, ends, best = _grid()
    given = *map(torch.from_numpy, (moves, rewards.astype(np.float32), ends)), LIMIT, _whole(rng, len(cells), GAMES)
    given += tuple(torch.from_numpy(rng.random(shape)) for shape in ((ROUNDS, GAMES, 3), (ROUNDS, BATCH)))
    net = solution.QNetwork(*best.shape, WIDTH)
    _, tables = assert_parts(solution.play(net, *given, RING, GAMMA, RATE, EVERY), ("losses", "tables"), name="play")
    assert_shape(tables, (ROUNDS // EVERY, *best.shape), name="tables")
    errors, values = np.abs(tables.double().numpy() - best).max((1, 2)), tables[-1].double().numpy()
    record.curve(
        "largest error of a value, update by update, beside all zeros", errors, baseline=float(abs(best).max())
    )
    chosen, signs = values.argmax(1), [list(row) for row in MAP]
    pictures = np.full((2, 4, 6), best.min())
    for number, (y, x) in enumerate(cells):
        signs[y][x] = ARROWS[chosen[number]]
        pictures[:, y, x] = values[number].max(), best[number].max()
    record.text("where your network goes; * takes what is there", "\n".join("".join(row) for row in signs))
    record.images("what a cell is worth to your network, and by value iteration", pictures, columns=2)
    help = "does an end stop the sum, and the time limit not? are old steps still drawn? does the target stand still?"
    assert_beats(float(errors[-1]), ERROR, name=text("largest error of a value"), higher=False, help=help)
    short = best.max(1) - best[np.arange(len(cells)), chosen]
    name = text("what the worst of its best moves is short of the best")
    assert_beats(float(short.max()), SHORT, name=name, higher=False, help="a tie may be broken either way")
