"""The specification says what the data dictionary's own document says; the comparison notices where it does not."""

from pathlib import Path

import pytest

from b2chat_pipeline_tests.specification.compare import DOCUMENT, differences, main

NEEDS_THE_DOCUMENT = pytest.mark.skipif(not DOCUMENT.exists(), reason="the design documents are not here")


@pytest.fixture
def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@NEEDS_THE_DOCUMENT
def test_they_agree(document: str) -> None:
    assert differences(document) == []


@NEEDS_THE_DOCUMENT
@pytest.mark.parametrize(
    ("said", "changed", "noticed"),
    [
        ("| `alias` | String | Yes |", "| `alias` | String | No |", "chats.alias (columns)"),
        ("| `duration` | Int | Yes |", "| `duration` | Float | Yes |", "chats.duration (columns)"),
        ("| `sync_version` | Int | No | 1 |", "| `sync_version` | Int | No | 0 |", "chats.sync_version (columns)"),
        ("- Unique: `b2chat_id`, `username`", "- Unique: `b2chat_id`", "agents (unique)"),
        ("- Indexed: `timestamp DESC`, `level`", "- Indexed: `timestamp`, `level`", "error_logs (indexes)"),
        ("(cascade delete)", "", "messages.chat_id (foreign_keys)"),
        ("- `telegram` -", "- `signal` -", "enum chat_provider"),
    ],
)
def test_a_change_of_the_document_is_noticed(document: str, said: str, changed: str, noticed: str) -> None:
    assert said in document

    assert any(line.startswith(noticed) for line in differences(document.replace(said, changed)))


def test_a_missing_document_is_said_and_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.md")]) == 0

    assert "held against nothing" in capsys.readouterr().out
