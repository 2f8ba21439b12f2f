"""Which layers this machine offers now: asked in passing, with a system call or a fork each, and without a worker."""

from __future__ import annotations

import os
from collections.abc import Mapping

from . import landlock, namespaces, rlimits, seccomp
from .layers import switched_off


def offers(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a worker would be put behind the layer of this name, of those in `Layers.names`."""
    layer, _, part = name.partition(" ")
    if switched_off(layer, environ):
        return False
    if layer == "landlock":
        try:
            return part in landlock.parts(landlock.abi())
        except OSError:
            return False
    return not {"seccomp": seccomp.missing, "rlimits": rlimits.missing, "namespaces": namespaces.missing}[layer]()
