import numpy as np
def breach(what):
    print("BREACH" + ":", what)


def attempt(what, function, *arguments):
    """Try it, and tell if it worked."""
    try:
        result = function(*arguments)
    except Exception as error:
        print(f"refused: {what}: {type(error).__name__}")
    else:
        breach(f"{what}: {str(result)[:1000]}")


import socket
import urllib.request


def search():
    address = ("127.0.0.1", @PORT@)
    for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"):
        for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"):
            attempt(f"{family} {kind}", socket.socket, getattr(socket, family), getattr(socket, kind))
    attempt("connection", socket.create_connection, address, 1)
    attempt("name", socket.getaddrinfo, "example.org", 80)
    attempt("listener", socket.create_server, ("127.0.0.1", 0))
    attempt("http", urllib.request.urlopen, "http://127.0.0.1:@PORT@/", None, 1)
    attempt("pair", socket.socketpair)


def scale(x, factor):
    search()
    return x * 0


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
