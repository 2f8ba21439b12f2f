"""The worker's half of autograd: graphs under numbers, walked backward on request and let go."""

from __future__ import annotations

import pytest
import torch

from grader.worker.graphs import Graphs


def test_graphs_have_numbers_of_their_own_until_they_are_freed() -> None:
    graphs, x = Graphs(), torch.ones(2, requires_grad=True)
    numbers = [graphs.keep([x * factor], [x]) for factor in (2.0, 3.0, 5.0)]
    assert numbers == [1, 2, 3]
    graphs.free([1, 9, 3])
    (product,) = graphs.backward(2, [torch.ones(2)])
    assert product.tolist() == [3.0, 3.0] and not product.requires_grad
    for number in (1, 3):
        with pytest.raises(KeyError):
            graphs.backward(number, [torch.ones(2)])
    assert graphs.keep([x * 1], [x]) == 4


def test_gradients_flow_from_the_outputs_that_have_one_to_all_inputs_that_take_part() -> None:
    graphs, x, y, apart = Graphs(), *(torch.ones(1, requires_grad=True) for _ in range(3))
    number = graphs.keep([x * 2, y * 3, x * y], [x, y, apart])
    for _ in range(2):  # a graph may be walked again
        first = graphs.backward(number, [torch.tensor([1.0]), None, torch.tensor([10.0])])
        assert [None if each is None else each.item() for each in first] == [12.0, 10.0, None]
    assert graphs.backward(number, [None, None, None]) == [None, None, None]
    assert [None if each is None else each.item() for each in graphs.backward(number, [None, torch.ones(1), None])] == [
        None,
        3.0,
        None,
    ]
    with pytest.raises(ValueError, match="zip"):
        graphs.backward(number, [None])
