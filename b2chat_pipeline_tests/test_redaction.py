"""No personal data leaves: each recogniser is tried on a thousand made variants, and what is harmless stays."""

import json
import sys
from collections.abc import Callable, Sized
from random import Random

import pytest

from b2chat_pipeline.analysis.redaction import Person, Redactor, fold, is_card_number
from b2chat_pipeline.analysis.transcript import Line, Transcript

VARIANTS = 1000
GIVEN = ("Ana", "José", "María", "Óscar", "Íñigo", "Zoë", "Begoña", "Núria", "Günther", "Jean-Luc", "Siobhán", "Nguyễn")
FAMILY = ("Ruiz", "Peña", "Ibáñez", "Del Río", "O'Connor", "García Márquez", "Çelik", "Muñoz", "de la Fuente", "Łuczak")
AROUND = ("Hola, {} por favor", "{}", "mi dato:{}.", "es {}, gracias", "¿Es ({})?", "apunte\n{}\ny me avisa", "«{}»")


def redact(text: str, *people: Person) -> str:
    line = Line(1, "customer", "2025-03-03T12:00:00Z", "text", text)
    [redacted] = Redactor(people).redacted(Transcript([line])).lines
    assert redacted.text is not None
    return redacted.text


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def grouped(rng: Random, number: str) -> str:
    """A number the way people write it: in groups, with blanks, dots, dashes, or all kinds of blanks."""
    groups, place = [], 0
    while place < len(number):
        size = rng.randint(2, 4)
        groups.append(number[place : place + size])
        place += size
    return rng.choice((" ", ".", "-", "", "\u00a0", " . ", "\u200b")).join(groups)


def phone(rng: Random) -> str:
    country = rng.choice(("+57", "+52 1", "+1", "0057", "57", "", "+34", "(+57)", "+ 57"))
    number = rng.choice(("3", "5", "6")) + digits(rng, 9)
    written = f"{country} {grouped(rng, number)}".strip()
    if rng.random() < 0.1:
        written = written.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    return written


def mail(rng: Random) -> str:
    local = fold(rng.choice(GIVEN)) + rng.choice((".", "_", "-", "+", "")) + digits(rng, 2)
    host = rng.choice(("example", "correo-andino", "mi.empresa"))
    end = rng.choice((".com", ".co", ".com.co", ".example"))
    at = rng.choice(("@", "@", "@", " @ ", "@\n", "\n@", " arroba ", "(at)"))
    address = f"{local}{at}{host}{end}"
    if rng.random() < 0.1:
        address = address.replace("-", "-\n", 1)
    return address.upper() if rng.random() < 0.1 else address


def card(rng: Random) -> str:
    while True:
        number = rng.choice(("4", "51", "34", "6011")) + digits(rng, 20)
        number = number[: 15 if number.startswith("34") else 16]
        if is_card_number(number):
            return grouped(rng, number)


def document(rng: Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(5))
    kinds: tuple[Callable[[], str], ...] = (
        lambda: f"{digits(rng, 1)}.{digits(rng, 3)}.{digits(rng, 3)}.{digits(rng, 3)}",
        lambda: f"CC {digits(rng, 8)}",
        lambda: f"cédula No. {digits(rng, 2)}.{digits(rng, 3)}.{digits(rng, 3)}",
        lambda: f"NIT {digits(rng, 3)}.{digits(rng, 3)}.{digits(rng, 3)}-{digits(rng, 1)}",
        lambda: f"{digits(rng, 2)}.{digits(rng, 3)}.{digits(rng, 3)}-K",
        lambda: f"{digits(rng, 8)}{letters[0]}",
        lambda: f"{letters[0]}{digits(rng, 8)}",
        lambda: f"{letters[:4]}{digits(rng, 6)}H{letters}{digits(rng, 2)}",
        lambda: f"{letters[:4]}{digits(rng, 6)}{digits(rng, 3)}",
        lambda: f"dni {digits(rng, 5)}",
    )
    return rng.choice(kinds)()


def link(rng: Random) -> str:
    host = rng.choice(("wa.me", "hogar.example.test", "www.tienda-andina.com", "bit.ly"))
    path = rng.choice(("/3001234567", "/p?id=88&u=ana", "/x#y"))
    return f"{rng.choice(('https://', 'http://', ''))}{host}{path}"


PERSONAL = {"phone": phone, "mail": mail, "card": card, "document": document, "link": link}


def planted(rng: Random, value: str) -> str:
    return rng.choice(AROUND).format(value)


def tell_recall(kind: str, missed: Sized) -> None:
    sys.stdout.write(f"recall of {kind}: {1 - len(missed) / VARIANTS:.1%}\n")


def leaks(value: str, redacted: str) -> bool:
    """Whether four characters in a row of the value are left, a digit or an @ among them."""
    plain, left = fold(value), fold(redacted)
    pieces = {plain[place : place + 4] for place in range(len(plain) - 3)}
    return any(piece in left for piece in pieces if any(it.isdigit() for it in piece) or "@" in piece)


@pytest.mark.parametrize("kind", PERSONAL)
def test_what_looks_like_personal_data_is_taken_out(kind: str) -> None:
    rng = Random(kind)
    values = [PERSONAL[kind](rng) for _ in range(VARIANTS)]

    missed = [value for value in values if leaks(value, redact(planted(rng, value)))]

    tell_recall(kind, missed)
    assert missed == []


def test_known_names_are_taken_out_with_and_without_their_accents() -> None:
    rng = Random(7)
    missed = []
    for _ in range(VARIANTS):
        name = f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"
        written = rng.choice(
            (name, name.upper(), fold(name), name.lower(), name.split(maxsplit=1)[0], name.replace(" ", "  "))
        )
        redacted = redact(planted(rng, written), Person(names=[name]))
        if any(part in fold(redacted) for part in fold(written).split() if len(part) > 2 and part != "del"):
            missed.append((name, written, redacted))

    tell_recall("names", missed)
    assert missed == []


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
