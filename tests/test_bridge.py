"""The bridge against torch itself: what lives in a worker behaves in the judge as if it lived there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TASKS = Path(__file__).with_name("bridge_tasks.py")
NAMES = (
    "functions_are_differentiable",
    "a_second_derivative_is_refused_with_a_reason",
    "a_module_is_a_module",
    "weights_travel_both_ways",
    "a_learners_own_modes_are_theirs",
    "a_state_is_held_and_loaded",
    "training_agrees_with_the_same_model_here",
    "graphs_are_freed",
    "arguments_are_values",
    "operations_are_counted",
    "hooks_of_submodules_see_what_they_gave",
    "hooks_that_cannot_fire_say_so",
    "what_was_heard_is_checked",
    "other_objects_are_handles",
    "what_one_test_holds_is_bounded",
)


@pytest.fixture(scope="module")
def said() -> str:
    """What the tasks print, all run in one process that holds a zygote."""
    done = subprocess.run([sys.executable, str(TASKS), *NAMES], text=True, capture_output=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_bridge(said: str, name: str) -> None:
    assert f"held: {name}\n" in said, said
