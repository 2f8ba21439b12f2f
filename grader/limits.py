"""Every bound that keeps a hostile peer from costing the grader time or memory, in one place."""

from __future__ import annotations

MIB = 1 << 20

# The wire: checked by the reader before memory is taken.
MAX_TREE_BYTES = 16 * MIB
MAX_RAW_BYTES = 256 * MIB
MAX_NODES = 1_000_000
MAX_DEPTH = 64
MAX_DIMENSIONS = 16
MAX_INTEGER_BYTES = 1024
MAX_MODULES = 10_000  # of one model, counted at each of its places
MAX_OBJECTS = 10_000  # of the learner's that one test can hold: each costs its judge a class
MAX_HEARD = 1000  # calls of modules with hooks, in one call of the learner's code
MAX_HEARD_BYTES = 16 * MIB  # of what these were given and gave
MAX_KINDS = 64  # of containers that are no tuple, list or dict just so
MAX_COLLISIONS = 100  # keys of one dict that share their hash with another

# What the worker prints and says.
MAX_OUTPUT_BYTES = 64 * 1024
MAX_MESSAGE_CHARACTERS = 4000
MAX_TRACE_BYTES = 64 * 1024

# Beside a kata's limit for one test, which is of processor time.
WALL_FACTOR = 3  # as many times may pass on the wall: beside other work, or asleep
CLOSING_SHARE = 0.5  # of one limit, on the wall, is shared by all tests that follow the first timeout

# Seconds beside that limit.
START_SECONDS = 60.0  # for a forked worker to be locked and say hello; nothing of the learner's runs in it
ORDERLY_SECONDS = 0.8  # for a ladder to take itself down in order, before it is killed
WATCH_SECONDS = 0.5  # between two looks of a worker for its judge, where no kernel tells of its end
STACK_SECONDS = 0.5  # for a worker past its deadline to write its stack
LENDER_SECONDS = 3.0  # for the holder of a shared ladder to answer, before one does without it
SUITE_GRACE_SECONDS = 30.0  # for a judge beyond the sum of its tests' limits
