"""Pictures that Dagster draws on an asset's page, as Markdown.

Here belongs what Dagster's pages take for a picture: an image whose address is the image itself, in Markdown of fewer
than a thousand characters; longer ones hide behind a click, and other drawings (SVG or HTML between the words) are
removed. Hence a picture of 24 by 7 points, enlarged, in a drawing that adds the words: it is as long for any numbers.
Not here: what the numbers are (`transform/showing.py`).
"""

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote

DAYS, HOURS = range(1, 8), range(24)
# From none to the most, also for readers who do not tell red from green: ColorBrewer's Blues.
_UNKNOWN = "d9d9d9"
_SHADES = ("f7fbff", "deebf7", "c6dbef", "9ecae1", "6baed6", "4292c6", "2171b5", "08519c", "08306b")
_DRAWING = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='360' height='132'"
    " font-family='sans-serif' font-size='12' fill='gray'>"
    "<text x='2,2,2,2,2,2,2' y='12,28,44,60,76,92,108'>MTWTFSS</text>"
    "<text x='20' y='126'>0</text><text x='104' y='126'>6</text>"
    "<text x='188' y='126'>12</text><text x='272' y='126'>18</text>"
    "<image x='20' width='336' height='112' style='image-rendering:pixelated' href='data:image/png;base64,{points}'/>"
    "</svg>"
)


def heat_map(values: Mapping[tuple[int, int], float | None]) -> str:
    """A picture of a number by weekday (1 is Monday) and hour, in Markdown; grey where it is not known.

    Shades go from 0 to the highest number, which is told beside them.
    """
    most = max((value for value in values.values() if value is not None), default=0)
    rows = [[_shade(values.get((day, hour)), most) for hour in HOURS] for day in DAYS]
    points = b64encode(_png(rows)).decode()
    address = quote(_DRAWING.format(points=points), safe="/:;,='+")
    return f"![Monday to Sunday by hour](data:image/svg+xml,{address})\n\nDarkest: {most:,.6g}. Grey: not known."


def _shade(value: float | None, most: float) -> int:
    """The place of a number's colour in the palette; only 0 has the lightest."""
    if value is None:
        return 0
    return 1 + (0 if value <= 0 else max(1, round(value / most * (len(_SHADES) - 1))))


def _png(rows: Iterable[Iterable[int]]) -> bytes:
    """An image of places in the palette, two points a byte."""
    lines = [bytes([0]) + bytes.fromhex("".join(f"{place:x}" for place in row)) for row in rows]
    header = struct.pack(">IIBBBBB", len(HOURS), len(DAYS), 4, 3, 0, 0, 0)
    chunks = {
        b"IHDR": header,
        b"PLTE": bytes.fromhex(_UNKNOWN + "".join(_SHADES)),
        b"IDAT": zlib.compress(b"".join(lines), 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks.items())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
