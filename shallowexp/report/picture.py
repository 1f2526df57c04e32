"""An image as a page embeds it."""

import io
from base64 import b64encode
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

SCREEN, CARD = 1920, 720  # pixels across: a figure in its section, and in the overview; twice what a screen shows


class Picture(NamedTuple):
    source: str  # a data URI
    width: int
    height: int


def picture(file: Path | BinaryIO, width: int) -> Picture:
    """The image on white, no wider than `width`; in 256 colours, enough for a figure, it has a third of the bytes."""
    with Image.open(file) as found:
        image = Image.new("RGBA", found.size, "white")
        image.alpha_composite(found.convert("RGBA"))
    image = image.convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return Picture("data:image/png;base64," + b64encode(content.getvalue()).decode(), *image.size)
