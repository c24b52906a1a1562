"""Static charts inside the page, for readers without scripts: small images as data addresses."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Wide enough for a page; the folder figures/ has the charts in full.
WIDTH = 1400
QUALITY = 80


def data_address(file: Path | IO[bytes]) -> str:
    """Return a PNG as the address of a WebP image that holds it."""
    from PIL import Image

    with Image.open(file) as image:
        small = image.convert("RGB")
    if small.width > WIDTH:
        small = small.resize((WIDTH, round(small.height * WIDTH / small.width)))
    content = BytesIO()
    small.save(content, "webp", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def figure_address(figure: Figure) -> str:
    """Return a chart that has no file as such an address."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=WIDTH / figure.get_figwidth())
    return data_address(content)
