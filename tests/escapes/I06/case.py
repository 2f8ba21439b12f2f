"""Two versions, both wrong in another way, exchanged every two milliseconds until the run is over."""

import hashlib
import os
import threading


def prepare(arena):
    path = arena.handed_in / "01_scale/scale.py"
    arena.volatile |= {path, path.with_suffix(".new")}
    first = path.read_bytes()
    arena.versions = [first + b"\nVERSION = 1\n", first.replace(b"x * factor", b"x * 0 + 5") + b"\nVERSION = 2\n"]
    arena.over = threading.Event()

    def swap():
        turn = 0
        while not arena.over.wait(0.002):
            turn += 1
            path.with_suffix(".new").write_bytes(arena.versions[turn % 2])
            os.replace(path.with_suffix(".new"), path)

    arena.thread = threading.Thread(target=swap)
    arena.thread.start()


def check(arena, outcome):
    arena.over.set()
    arena.thread.join()
    kata = outcome.kata("01_scale")
    shown = [hashlib.sha256(version).hexdigest() for version in arena.versions]
    if kata["sha256"] not in shown:
        return ["the digest in the report is of neither version"]
    values = {test["verdict"] for test in kata["tests"] if test["name"] in ("test_values", "test_pure")}
    return [] if values == {("pass", "fail")[shown.index(kata["sha256"])]} else ["not every test ran the version of the digest"]
