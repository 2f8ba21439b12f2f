"""A listener that must never be called."""

import socket


def prepare(arena):
    arena.listener = socket.create_server(("127.0.0.1", 0))
    path = arena.handed_in / "01_scale/scale.py"
    path.write_text(path.read_text().replace("@PORT@", str(arena.listener.getsockname()[1])))


def check(arena, outcome):
    arena.listener.setblocking(False)
    try:
        arena.listener.accept()[0].close()
    except BlockingIOError:
        return []
    finally:
        arena.listener.close()
    return ["a connection arrived"]
