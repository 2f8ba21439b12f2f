"""Where a random generator may stand after a call: some draws further than before, and nowhere else.

A file could set the generator that it was given instead of drawing from it, to a state from which every draw is the same:
what a suite draws after that would be no test any more.

Sources: O'Neill, PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms, 2014 (the distance between
two states); Matsumoto and Nishimura, Mersenne Twister, 1998 (a block of 624 words at a time).
"""

from __future__ import annotations

import struct
from typing import Any

_PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_PCG_MASK = (1 << 128) - 1
_MOST_DRAWS = 1 << 26  # in one call; half a second's worth for a Mersenne Twister
_WORDS = 624
_BLOCKS_AT_ONCE = 1024
_TWISTER = struct.Struct(f"<QiiQ{_WORDS}Q")  # torch's: first seed, words left, seeded, next word, words


def moved_on(before: Any, after: Any) -> bool:
    """Whether drawing can have brought the generator `before` to where `after` stands; both of one type, torch's or numpy's."""
    if hasattr(before, "get_state"):
        return _twister_moved_on(before.get_state().numpy().tobytes(), after.get_state().numpy().tobytes())
    return _pcg_moved_on(before.bit_generator.state["state"], after.bit_generator.state["state"])


def _pcg_moved_on(before: dict[str, int], after: dict[str, int]) -> bool:
    """A jump through the powers of two: bit by bit the states become equal, and the bits that it took are the distance."""
    if before["inc"] != after["inc"]:
        return False
    state, target = before["state"], after["state"]
    multiplier, increment, bit = _PCG_MULTIPLIER, before["inc"], 1
    while state != target and bit < _MOST_DRAWS:
        if (state ^ target) & bit:
            state = (state * multiplier + increment) & _PCG_MASK
        increment = (multiplier + 1) * increment & _PCG_MASK
        multiplier = multiplier * multiplier & _PCG_MASK
        bit <<= 1
    return state == target


def _twister_moved_on(before: bytes, after: bytes) -> bool:
    """Blocks are made one after the other, by numpy's twister, until one is that in which `after` stands."""
    import numpy

    seed, left, seeded, place, *words = _TWISTER.unpack_from(before)
    new_seed, new_left, new_seeded, new_place, *new_words = _TWISTER.unpack_from(after)
    if (seed, seeded) != (new_seed, new_seeded):
        return False
    if words == new_words:
        return (new_left, new_place) == (left, place) or (new_place > place and new_left == _WORDS + 1 - new_place)
    if not (0 < new_place <= _WORDS and new_left == _WORDS + 1 - new_place):
        return False
    twister = numpy.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": numpy.array(words, numpy.uint32), "pos": _WORDS}}
    target, blocks, made = _tempered(numpy.array(new_words, numpy.uint64)), 1, 0
    while made * _WORDS < _MOST_DRAWS:
        drawn = twister.random_raw(blocks * _WORDS).reshape(blocks, _WORDS)
        if any((block == target).all() for block in drawn[drawn[:, 0] == target[0]]):
            return True
        made, blocks = made + blocks, min(2 * blocks, _BLOCKS_AT_ONCE)
    return False


def _tempered(words: Any) -> Any:
    """What a block of the state is drawn as."""
    words = words ^ words >> 11
    words = words ^ words << 7 & 0x9D2C5680
    words = words ^ words << 15 & 0xEFC60000
    return words ^ words >> 18
