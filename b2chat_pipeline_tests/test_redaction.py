"""No personal data leaves: each recogniser is tried on a thousand made variants, and what is harmless stays."""

import json
import re
import sys
import time

import pytest
from click.testing import CliRunner

from b2chat_pipeline.analysis import redaction
from b2chat_pipeline.analysis.redaction import Person, Redactor
from b2chat_pipeline.analysis.transcript import Line, Transcript
from b2chat_pipeline_tests.personal_data.__main__ import main as measure
from b2chat_pipeline_tests.personal_data.recall import changed_ordinary, recall_of
from b2chat_pipeline_tests.personal_data.variants import KINDS

VARIANTS = 1000
# Other variants than those that the recognisers were mended by.
SEED = 20261123


def redact(text: str, *people: Person) -> str:
    line = Line(1, "customer", "2025-03-03T12:00:00Z", "text", text)
    [redacted] = Redactor(people).redacted(Transcript([line])).lines
    assert redacted.text is not None
    return redacted.text


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_write_of_themselves_is_taken_out(kind: str) -> None:
    recall = recall_of(kind, VARIANTS, SEED)

    sys.stdout.write(f"recall of {kind}: {recall.share:.1%}\n")
    assert recall.planted.total() == VARIANTS
    assert [(variant.text, left) for variant, left in recall.examples] == []


def test_a_recogniser_that_misses_something_has_another_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_DIGITS", re.compile(r"\d{8,}"))

    recall = recall_of("phone", 200, SEED)

    assert 0.1 < recall.share < 0.9
    assert recall.missed["spaces"] > 0
    assert recall.missed["one run of digits"] == 0


def test_what_is_found_is_told_for_any_seed() -> None:
    told = CliRunner().invoke(measure, ["--seed", "3", "--number", "40"])

    assert told.exit_code == 0, told.output
    assert [line.split(":")[0] for line in told.output.splitlines()] == [*KINDS, "ordinary sentences"]


def test_ordinary_sentences_with_numbers_stay_as_they_are() -> None:
    changed = list(changed_ordinary(VARIANTS, SEED))

    sys.stdout.write(f"ordinary sentences left as they are: {1 - len(changed) / VARIANTS:.1%}\n")
    assert changed == []


@pytest.mark.parametrize(
    "nonsense", ["a", "a.", "a\n", "1 ", "1.234", "www.", "xarroba", "a@b.", "id: no ", "ana", "a\n.com\n", " "]
)
def test_a_long_message_of_nonsense_takes_no_time(nonsense: str) -> None:
    began = time.process_time()

    redact(nonsense * (50_000 // len(nonsense)), Person(names=["Ana Anana Aaa Aaaa"]))

    # It takes a second at most; minutes, where a pattern looks at each character again and again.
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("+573001234567", "mi número es 57 300 123 45 67"),
        ("+573001234567", "300-1234567"),
        ("ana.ruiz@example.test", "es ana.ruiz @\nexample.test"),
        ("ana.ruiz@example.test", "ana.ru\niz@example.test"),
        ("AB-12345", "documento ab12345"),
        ("Calle 10 # 5-51, apto 302", "vivo en calle 10 #5-51 apto 302"),
    ],
)
def test_what_is_known_of_the_customer_is_taken_out_however_it_is_spaced(stored: str, written: str) -> None:
    redacted = redact(written, Person(values=[("KNOWN", stored)]))

    assert not any(part in redacted for part in ("300", "4567", "45 67", "ana", "ruiz", "12345", "calle", "5-51"))


def test_a_value_has_one_token_within_a_conversation_however_it_is_written() -> None:
    said = ("Soy José Peña", "hola JOSE PENA, ¿su número es +57 300 123 4567?", "sí, 57.300.1234567, y el 601 2345678")
    lines = [Line(n, "customer", "2025-03-03T12:00:00Z", "text", text) for n, text in enumerate(said, 1)]

    redacted = Redactor([Person(names=["José Peña"])]).redacted(Transcript(lines))

    assert [line.text for line in redacted.lines] == [
        "Soy <NAME_1>",
        "hola <NAME_1>, ¿su número es <PHONE_1>?",
        "sí, <PHONE_1>, y el <PHONE_2>",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "El valor es de $1.890.000 con envío incluido.",
        "Hola, mi pedido #45678 no ha llegado",
        "El jueves entre 8 y 12 del día.",
        "Llega el 2026-01-31 14:00, o el 05/02/2026",
        "Puedes pagarlo hasta en 12 cuotas sin interés",
        "error E-07, modelo de 18 kg 👍🏽",
        "¡Hola! 👋 Escribe 1 para ventas, 2 para soporte o 3 para tu pedido.",
        "مرحبا، هل يمكنكم المساعدة بالعربية؟",
    ],
)
def test_what_is_nobodys_stays_as_it_is(text: str) -> None:
    assert redact(text, Person(names=["Andrés Ibarra"], values=[("PHONE", "+573001234567")])) == text


def test_messages_without_words_stay_without() -> None:
    line = Line(1, "customer", "2025-03-03T12:00:00Z", "image", None)

    assert Redactor([]).redacted(Transcript([line])).lines == [line]


def test_the_redactor_keeps_nothing_of_a_conversation() -> None:
    redactor = Redactor([])
    first = Transcript([Line(1, "customer", "x", "text", "+57 300 123 4567")])

    once, again = redactor.redacted(first), redactor.redacted(first)

    assert once == again
    assert "300" not in json.dumps([vars(redactor).__repr__(), str(once)])
