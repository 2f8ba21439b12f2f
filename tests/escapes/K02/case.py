"""What it left behind must not meet even itself: a second run of the same file gives the same verdicts, test by test."""


def check(arena, outcome):
    first, second = ([(test["name"], test["verdict"]) for test in run.kata("01_scale")["tests"]] for run in (outcome, arena.grade("01_scale")))
    return [] if first == second else [f"a second run says {second}, the first said {first}"]
