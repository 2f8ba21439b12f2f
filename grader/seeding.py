"""One seed for all that is random in a process, the judge's or a worker's."""

from __future__ import annotations

import random
import sys


def seed(number: int) -> None:
    """Seed every global generator that this process has loaded."""
    random.seed(number)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed(number % (1 << 32))
    if torch is not None:
        torch.default_generator.manual_seed(number)  # `torch.manual_seed` takes 5 ms to look for other devices
