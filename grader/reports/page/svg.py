"""matplotlib's SVG made a part of a page: its colours are the page's, its ids its own, and a reader is told what it shows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that stand for those of the page, which differ between light and dark.
INK, SOFT, GRID = "#010101", "#020202", "#030303"
CURVE, BASELINE, ABLATION = "#040404", "#050505", "#060606"
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    GRID: "--line",
    CURVE: "--curve",
    BASELINE: "--baseline",
    ABLATION: "--ablation",
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font: (?P<size>[\d.]+px)[^;]*|font-family: [^;]*;? ?")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gradkata",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
}


@contextmanager
def drawn(width: float, height: float) -> Iterator[Figure]:
    """A figure of this size, in inches, in the style of the page, whatever the machine's own settings are."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", _STYLE]):
        yield Figure((width, height))


def markup(figure: Figure, name: str, title: str, told: str) -> str:
    """The figure as an element of a page. No other drawing of the page has this `name`.

    To be called while it is `drawn`. `title` says what it is, and `told` what is to be seen in it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(file.getvalue())
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    _without(root, "metadata", "style")
    _own_ids(root, name)
    for place, (tag, text) in enumerate({"title": title, "desc": told}.items()):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", id=f"{name}-{tag}")
        element.text = text
        root.insert(place, element)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")  # a page knows these without their names in XML
        if style := element.attrib.get("style"):
            style = _FONT.sub(lambda found: f"font-size: {found['size']}" if found["size"] else "", style)
            for colour, variable in _VARIABLES.items():
                style = style.replace(colour, f"var({variable})")
            element.set("style", style)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _without(root: ElementTree.Element, *tags: str) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in {f"{{{_SVG}}}{tag}" for tag in tags}]:
            parent.remove(child)


def _own_ids(root: ElementTree.Element, name: str) -> None:
    """Every id that something refers to begins with the name of the drawing; the others go."""
    refers = set()
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == f"{{{_XLINK}}}href":
                del element.attrib[key]
                key = "href"
            if key == "href" and value.startswith("#"):
                refers.add(value[1:])
                value = f"#{name}-{value[1:]}"
            refers.update(re.findall(r"url\(#([^)]*)\)", value))
            element.set(key, re.sub(r"url\(#", f"url(#{name}-", value))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in refers:
            element.set("id", f"{name}-{own}")
