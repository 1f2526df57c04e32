"""A figure's SVG inside a page: its curves are named, so that a pointer finds their numbers and a button switches them off."""

import re
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pandas as pd
from markupsafe import Markup

LARGEST = 250_000  # bytes: planes and clouds of points weigh less as pixels
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


class Drawing(NamedTuple):
    """An SVG and what its curves show: id, label, the name of x, and points (x, median, low, high)."""

    svg: Markup
    curves: list[dict[str, Any]]


def drawing(folder: Path, name: str) -> Drawing | None:
    """Of name.svg, with the numbers of name.csv, a row a point; None where no curve with points is in it, or it is too large."""
    from shallowexp.claims.figures import CURVE  # which imports matplotlib

    path, table = folder / f"{name}.svg", folder / f"{name}.csv"
    if not path.is_file() or not table.is_file() or path.stat().st_size > LARGEST:
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:  # of a name with a control character
        return None
    names = [found for element in root.iter() if (found := element.get("id", "")).startswith(CURVE)]
    if not names:
        return None
    read: dict[str, Any] = {"dtype": {"curve": str, "panel": str}, "keep_default_na": False, "na_values": [""]}
    numbers = pd.read_csv(table, **read)
    order = {label: i for i, label in enumerate(numbers["curve"].dropna().unique())}  # the legend's
    names = [found for found in names if _label(found) in order]  # a curve of runs that all diverged has no point
    names.sort(key=lambda found: order[_label(found)])
    stem = re.sub(r"\W", "-", name)
    return Drawing(_inside(root, stem), [_curve(curve, stem, numbers) for curve in names])


def _label(name: str) -> str:
    return name.split("|", 3)[3]


def _inside(root: ElementTree.Element, stem: str) -> Markup:
    """The SVG without what only a file needs; an id is of one figure of the page."""
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style")]:
            parent.remove(child)
        for key, value in parent.items():
            if key == "id":
                parent.set(key, f"{stem}-{value}")
            elif key == f"{{{XLINK}}}href" or "url(#" in value:
                parent.set(key, value.replace("#", f"#{stem}-", 1))
    root.attrib = {"class": "drawn", "viewBox": root.get("viewBox", "")}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _curve(name: str, stem: str, numbers: pd.DataFrame) -> dict[str, Any]:
    _, panel, x, label = name.split("|", 3)
    mine = numbers[(numbers["panel"] == panel) & (numbers["curve"] == label)]
    points = mine[[x, "median", "low", "high"]]
    rows = [[float(f"{value:.4g}") for value in row] for row in points.itertuples(index=False)]
    return {"id": f"{stem}-{name}", "label": label, "x": x, "points": rows}
