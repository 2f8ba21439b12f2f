"""No line of the screen may be one that a CI system obeys."""

import re

COMMAND = re.compile(r"^\s*(::|##\[)|##(vso|teamcity)\[", re.MULTILINE)


def check(arena, outcome):
    return [f"a line that a CI system obeys: {found[0]}" for found in COMMAND.finditer(outcome.stdout + outcome.stderr)]
