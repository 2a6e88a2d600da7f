"""The pictures of asset pages, read back point by point."""

import re
import struct
import zlib
from base64 import b64decode
from random import Random
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from b2chat_pipeline.assets.pictures import DAYS, HOURS, heat_map

# Dagster's pages put longer Markdown behind a click (seen with 1.13.27).
SHOWN_AT_ONCE = 1000
NINES = {(day, hour): 0.0 if hour < 12 else 9.0 for day in DAYS for hour in HOURS}


def points_of(markdown: str) -> list[list[str]]:
    """The colours of the picture in a Markdown text, a row per weekday."""
    address = re.match(r"!\[.+?\]\(data:image/svg\+xml,(\S+)\)", markdown)
    assert address
    drawing = ET.fromstring(unquote(address[1]))  # noqa: S314 - our own
    image = drawing.find("{http://www.w3.org/2000/svg}image")
    assert image is not None
    content = b64decode(image.attrib["href"].removeprefix("data:image/png;base64,"))
    chunks = dict(chunks_of(content))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (width, height, depth, kind) == (24, 7, 4, 3)
    palette = [chunks[b"PLTE"][place : place + 3].hex() for place in range(0, len(chunks[b"PLTE"]), 3)]
    lines = zlib.decompress(chunks[b"IDAT"])
    return [[palette[int(place, 16)] for place in lines[row * 13 + 1 : row * 13 + 13].hex()] for row in range(height)]


def chunks_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """The parts of a PNG, each with the sum that proves it."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = [], 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, part = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (proof,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert proof == zlib.crc32(kind + part)
        chunks.append((kind, part))
        place += 12 + length
    return chunks


def test_none_is_lightest_the_most_is_darkest_and_what_is_not_known_is_grey() -> None:
    picture = heat_map({**NINES, (1, 0): None, (7, 23): 4.5, (3, 0): 0.01})

    points = points_of(picture)
    assert points[0] == ["d9d9d9"] + ["f7fbff"] * 11 + ["08306b"] * 12
    assert points[6][22:] == ["08306b", "6baed6"]
    # The least of all chats is still not none.
    assert points[2][:2] == ["deebf7", "f7fbff"]
    assert picture.endswith("\n\nDarkest: 9. Grey: not known.")


def test_without_any_chat_nothing_is_known_of_the_picture() -> None:
    picture = heat_map({})

    assert points_of(picture) == [["d9d9d9"] * 24] * 7
    assert picture.endswith("Darkest: 0. Grey: not known.")


@pytest.mark.parametrize("seed", range(20))
def test_a_picture_is_short_enough_to_be_shown_at_once(seed: int) -> None:
    random = Random(seed)
    picture = heat_map({(day, hour): random.choice([None, random.uniform(0, 1e6)]) for day in DAYS for hour in HOURS})

    assert len(picture) < SHOWN_AT_ONCE
    # Anything else ends the address in Markdown.
    assert re.search(r"\]\([^\s()<>\"]+\)\n", picture)
