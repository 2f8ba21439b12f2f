"""A network that nobody has seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grader.checks import assert_agrees, assert_parts, assert_that, assert_trained, load_state, normal, text

TOL = 1e-8
# Members of each side, sides, members without friends, steps, times that a pair is listed.
NETWORKS = [(9, 3, 2, 12, 1), (14, 2, 1, 5, 2), (6, 4, 0, 3, 3)]


def _network(rng, size, sides, alone, times):
    """Friends mostly within a side, pairs in either order and perhaps listed again; members by shuffled numbers."""
    members = sides * size + alone
    labels = np.concatenate([np.repeat(np.arange(sides), size), rng.integers(0, sides, alone)])
    chance = np.where(labels[:, None] == labels, 0.5, 0.06)
    chance[members - alone :] = chance[:, members - alone :] = 0
    pairs = np.argwhere(np.triu(rng.random((members, members)) < chance, 1))
    pairs = rng.permutation(np.concatenate([rng.permuted(pairs, axis=1) for _ in range(times)]))
    names = rng.permutation(members)
    sides_of = np.empty(members, dtype=np.int64)
    sides_of[names] = labels
    known = np.zeros(members, dtype=bool)
    known[names[np.arange(sides) * size]] = True
    return torch.from_numpy(names[pairs]), torch.from_numpy(sides_of), torch.from_numpy(known)


@pytest.mark.value
def test_networks_nobody_has_seen(solution, reference, rng):
    """From a list of pairs to trained answers, on networks that are in no book"""
    for size, sides, alone, steps, times in NETWORKS:
        edges, labels, known = _network(rng, size, sides, alone, times)
        members = len(labels)
        entries = solution.normalised_edges(edges, members, torch.float64)
        index, weights = assert_parts(entries, ("index", "weights"), name="normalised_edges")
        rows = text("entries for {members} members and {pairs} pairs", members=members, pairs=len(edges))
        oracle_index, oracle_weights = reference.normalised_edges(edges, members, torch.float64)
        assert_that(index.shape == oracle_index.shape, "{rows}: each place stands once", rows=rows)
        x = torch.eye(members, dtype=torch.float64)
        shapes = {
            "first.weight": (members, 5),
            "first.bias": (5,),
            "second.weight": (5, sides),
            "second.bias": (sides,),
        }
        values = {name: normal(rng, *shape) / 2 for name, shape in shapes.items()}
        model, oracle = (
            load_state(each.GCN(members, 5, sides, torch.float64), values) for each in (solution, reference)
        )
        losses = solution.fit(model, x, index, weights, labels, known, steps, 0.03)
        wanted = (reference.masked_loss(oracle(x, oracle_index, oracle_weights), labels, known) for _ in range(steps))
        adam = torch.optim.Adam(oracle.parameters(), lr=0.03)
        assert_trained(losses, model, oracle, wanted, adam, parameters=list(shapes), name="cross-entropy")
        inputs = {"x": x, "index": oracle_index, "weights": oracle_weights}
        assert_agrees(model, oracle, inputs, rng, gradients=False, tol=1e-4, name="logits")
