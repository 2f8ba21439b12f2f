COMMANDS = ("::error title=all tests pass::4 of 4", "::add-mask::f", "::stop-commands::x", "##[error]x", "##vso[task.complete result=Succeeded]")


def scale(x, factor):
    print("##teamcity[testFinished name='x']", *COMMANDS, sep="\n")
    raise ValueError("\n".join(("wrong", *COMMANDS)))


def halves(x):
    raise ValueError("\n".join(f"{'word ' * words}{command}" for words in range(12, 24) for command in COMMANDS[:1]))
