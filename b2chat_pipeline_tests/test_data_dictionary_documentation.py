"""The committed documentation of the tables says what the models say."""

from pathlib import Path

from b2chat_pipeline.warehouse.documentation import data_dictionary

COMMITTED = Path(__file__).parents[1] / "docs" / "data_dictionary.md"


def test_the_committed_documentation_is_current() -> None:
    committed = COMMITTED.read_text(encoding="utf-8")

    assert committed == data_dictionary(), "make it anew: python -m b2chat_pipeline.warehouse.documentation"


def test_every_line_of_a_table_has_a_meaning() -> None:
    assert "| None |" not in data_dictionary()
