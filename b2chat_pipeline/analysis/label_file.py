"""The file of labels: what people judged of conversations, by the rubric that the model judges by. Pure.

Here belongs what may stand in it, and where something else does. Not here: keeping labels (`labels.py`), what levels
add up to (`scores.py`).
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from b2chat_pipeline.analysis.rubric import LEVELS, NAMES, RUBRIC_VERSION
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.windows import AccountClock

OPTIONAL = ("language",)
REQUIRED = ("rubric", "chat", "labeller", "labelled_at", *NAMES)
COLUMNS = ("rubric", "chat", "labeller", "labelled_at", *OPTIONAL, *NAMES)
# Mistakes that are told at once; whoever mends these finds the others by the next try.
_MOST_TOLD = 10
# A code says who it was to those who know, and nothing to anybody else: not a name, not an address.
_CODE = re.compile(r"[A-Za-z0-9_-]{1,20}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}")
_LEVELS = {str(level): level for level in LEVELS}


class LabelFileError(OperatorError):
    """A file of labels holds what cannot be read; nothing of it was imported."""


@dataclass(frozen=True)
class Label:
    """One person's judgement of one chat: the levels of the criteria that the messages tell of."""

    line: int
    b2chat_id: str
    labeller: str
    labelled_at: datetime
    language: str | None
    levels: Mapping[str, int]


@dataclass(frozen=True)
class LabelFile:
    """What a file tells. Rows without any level are those that nobody has filled in yet."""

    labels: Sequence[Label]
    not_filled_in: int


class _MistakeError(Exception):
    """What is wrong with one cell; repeats nothing of it."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(f"{column} {problem}")


def read_label_file(content: bytes, clock: AccountClock, now: datetime) -> LabelFile:
    """The labels of a CSV, times without a zone as the account counts them. Raises LabelFileError."""
    labels: list[Label] = []
    mistakes: list[str] = []
    seen: set[tuple[str, str]] = set()
    not_filled_in = 0
    for line, row in _rows(content):
        if not any(row[name] for name in NAMES):
            not_filled_in += 1
            continue
        try:
            label = _label(line, row, clock, now)
            _check_new(label, seen)
        except _MistakeError as mistake:
            mistakes.append(f"line {line}: {mistake}")
        else:
            seen.add((label.b2chat_id, label.labeller))
            labels.append(label)
    if mistakes:
        raise _wrong(mistakes)
    return LabelFile(labels, not_filled_in)


def _rows(content: bytes) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row by column, stripped, with the line it ends on. Raises LabelFileError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelFileError("the file is not UTF-8: save it as `CSV UTF-8`, then import it again.") from None
    lines = text.splitlines()
    # Spreadsheets of countries that write 0,5 part columns by semicolons.
    delimiter = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.DictReader(lines, delimiter=delimiter, restkey="", restval="")
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    _check_names(names)
    for row in reader:
        if row.pop("", None):
            raise _wrong([f"line {reader.line_num}: has more cells than there are columns"])
        yield reader.line_num, {name: (row.get(name) or "").strip() for name in COLUMNS}


def _check_names(names: Sequence[str]) -> None:
    missing, surplus = set(REQUIRED) - set(names), len(set(names) - set(COLUMNS)) + len(names) - len(set(names))
    if missing:
        raise _wrong([f"line 1: lacks the column {name}" for name in REQUIRED if name in missing])
    if surplus:
        raise _wrong([f"line 1: has {surplus} columns too many; there are {', '.join(COLUMNS)}"])


def _label(line: int, row: Mapping[str, str], clock: AccountClock, now: datetime) -> Label:
    if row["rubric"] != RUBRIC_VERSION:
        raise _MistakeError(
            "rubric", f"is not {RUBRIC_VERSION}, which scores are made by: labels by others say nothing"
        )
    if not row["chat"]:
        raise _MistakeError("chat", "is empty")
    if not _CODE.fullmatch(row["labeller"]):
        raise _MistakeError("labeller", "is no code of up to 20 letters, digits, - and _ (never a name or an address)")
    if row["language"] and not _LANGUAGE.fullmatch(row["language"]):
        raise _MistakeError("language", "is no code of two or three letters")
    levels = {name: _level(name, row[name]) for name in NAMES if row[name]}
    return Label(line, row["chat"], row["labeller"], _instant(row, clock, now), row["language"].lower() or None, levels)


def _check_new(label: Label, seen: AbstractSet[tuple[str, str]]) -> None:
    if (label.b2chat_id, label.labeller) in seen:
        raise _MistakeError("chat", "was judged by this labeller in a line before")


def _level(name: str, text: str) -> int:
    if text not in _LEVELS:
        raise _MistakeError(name, f"is none of {', '.join(_LEVELS)} and not empty")
    return _LEVELS[text]


def _instant(row: Mapping[str, str], clock: AccountClock, now: datetime) -> datetime:
    instant = clock.read(row["labelled_at"]).instant
    if instant is None:
        raise _MistakeError("labelled_at", "is no day and no time: write 2026-01-31, or 2026-01-31T14:00")
    if instant > now:
        raise _MistakeError("labelled_at", "lies in the future")
    return instant


def _wrong(mistakes: Sequence[str]) -> LabelFileError:
    more = f"; and {len(mistakes) - _MOST_TOLD} more" if len(mistakes) > _MOST_TOLD else ""
    return LabelFileError(
        f"nothing was imported, the file has to be corrected first: {'; '.join(mistakes[:_MOST_TOLD])}{more}."
    )
