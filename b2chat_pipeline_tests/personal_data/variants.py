"""Sentences with one piece of made-up personal data, written in the ways people write it in a chat.

Knows nothing of the recognisers: what is here comes from how phone numbers, mails, documents, cards, links and names
are written in Colombia and its neighbours. Every number and address is drawn at random; no one's data is among them."""

import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One sentence with planted data.

    `way` says how it is written; `secrets` are the parts of which none may be left, compared without regard to case and
    accents; `names` are those the pipeline would know of the chat's people (contact and agents)."""

    kind: str
    way: str
    text: str
    secrets: tuple[str, ...]
    names: tuple[str, ...] = ()


Written = tuple[str, str, tuple[str, ...]]  # the way, the data as written, its secret parts
Writer = Callable[[random.Random], Written]

_BEFORE = (
    "Hola, buenos días, ", "Claro que sí: ", "Le confirmo ", "Sí señora, anote por favor ", "perdón, me equivoqué, es ",
    "Ok ", "", "Te lo escribo otra vez -> ", "Buenas tardes.\n", "Gracias por escribirnos.\nQuedó registrado ",
    "Sure, here it is: ", "Pode anotar: ", "es (", "*", "Quedo atento\n\n",
)  # fmt: skip
_AFTER = (
    "", ".", ", muchas gracias", " por favor", "\nquedo pendiente", "!!", " 🙏", "?", "; cualquier cosa me avisa", ")",
    "*", " y sigo esperando la respuesta", ", thanks", " obrigada",
)  # fmt: skip


def variants(kind: str, number: int, seed: int) -> Iterator[Variant]:
    """`number` sentences with data of one kind (a key of `KINDS`), the same ones for the same seed."""
    draw = random.Random(f"{kind} {seed}")
    for _ in range(number):
        if kind == "name":
            known, (way, written, secrets) = _name(draw)
        else:
            known, (way, written, secrets) = (), draw.choice(KINDS[kind])(draw)
        text = draw.choice(_BEFORE) + _label(draw, kind) + written + draw.choice(_AFTER)
        yield Variant(kind, way, text, secrets, known)


def plain(text: str) -> str:
    """The text without case, accents and forms of the same character: what two secrets are compared by."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


_LABELS = {
    "phone": ("", "", "mi celular es ", "cel: ", "Tel. ", "WhatsApp ", "llámeme al ", "número ", "móvil:", "tel:"),
    "mail": ("", "", "mi correo es ", "email: ", "e-mail ", "correo electrónico: ", "escríbame a "),
    "card": ("", "", "tarjeta ", "mi visa es ", "la tarjeta de crédito número ", "TC: "),
    "link": ("", "", "mire ", "aquí: ", "el enlace es ", "entré a "),
    "name": ("", "soy ", "Sra. ", "habla con ", "mi nombre es ", "le atiende ", "a nombre de ", "gracias "),
}


def _label(draw: random.Random, kind: str) -> str:
    return "" if kind == "document" else draw.choice(_LABELS[kind])


def _digits(draw: random.Random, number: int) -> str:
    return str(draw.randint(1, 9)) + "".join(str(draw.randint(0, 9)) for _ in range(number - 1))


def _groups(digits: str, *sizes: int) -> list[str]:
    """The digits cut into groups of these sizes; what is left is the last group."""
    groups, at = [], 0
    for size in sizes:
        groups.append(digits[at : at + size])
        at += size
    return [group for group in [*groups, digits[at:]] if group]


def _written(way: str, groups: Sequence[str], between: str, before: str = "") -> Written:
    return way, before + between.join(groups), tuple(groups)


# Phone numbers

_SEPARATORS = {
    "spaces": " ", "dots": ".", "dashes": "-", "two spaces": "  ", "no-break spaces": "\u00a0",
    "a line break": "\n", "spaced dashes": " - ", "slashes": "/", "invisible spaces": "\u200b",
}  # fmt: skip
_GROUPINGS = ((3, 3), (3, 3, 2), (3, 2, 2), (3, 4), (2, 2, 2, 2), (5,), (1, 3, 3))


def _mobile(draw: random.Random) -> str:
    return "3" + draw.choice("0125") + _digits(draw, 8)


def _phone_in_one(draw: random.Random) -> Written:
    return _written("one run of digits", [_mobile(draw)], "")


def _phone_in_groups(draw: random.Random) -> Written:
    way = draw.choice(list(_SEPARATORS))
    return _written(way, _groups(_mobile(draw), *draw.choice(_GROUPINGS)), _SEPARATORS[way])


def _phone_with_country(draw: random.Random) -> Written:
    prefix = draw.choice(("+57", "+57 ", "57", "57 ", "0057", "(57) ", "(+57)", "+ 57 ", "+57-", "+57."))
    separator = draw.choice(("", " ", "-", "."))
    return _written("+57 and kin", _groups(_mobile(draw), 3, 3), separator, prefix)


def _phone_in_parentheses(draw: random.Random) -> Written:
    area, *rest = _groups(_mobile(draw), 3, 3)
    country = draw.choice(("", "+57 ", "57 ", "+57"))
    between = draw.choice((" ", "-", ".", ""))
    return "parentheses", f"{country}({area}){draw.choice((' ', ''))}{between.join(rest)}", (area, *rest)


def _landline(draw: random.Random) -> Written:
    area = draw.choice(("601", "602", "604", "605", "607"))
    number = _digits(draw, 7)
    written = draw.choice((f"({area}) {number}", f"{area} {number[:3]} {number[3:]}", f"{area}{number}"))
    return "landline", written, (number, number[:3], number[3:]) if " " in written else (number,)


def _phone_from_abroad(draw: random.Random) -> Written:
    country, groups = draw.choice(
        (
            ("+52 1", ("55", _digits(draw, 4), _digits(draw, 4))),
            ("+52", ("81", _digits(draw, 4), _digits(draw, 4))),
            ("+56", ("9", _digits(draw, 4), _digits(draw, 4))),
            ("+51", ("9" + _digits(draw, 2), _digits(draw, 3), _digits(draw, 3))),
            ("+54 9", ("11", _digits(draw, 4), _digits(draw, 4))),
            ("+593", ("9" + _digits(draw, 1), _digits(draw, 3), _digits(draw, 4))),
            ("+34", ("6" + _digits(draw, 2), _digits(draw, 2), _digits(draw, 2), _digits(draw, 2))),
            ("+1", ("305", _digits(draw, 3), _digits(draw, 4))),
            ("+55", ("11", "9" + _digits(draw, 4), _digits(draw, 4))),
        )
    )
    between = draw.choice((" ", "-", "", "."))
    return "another country", f"{country}{draw.choice((' ', ''))}{between.join(groups)}", groups


def _phone_in_other_digits(draw: random.Random) -> Written:
    way, zero = draw.choice((("full-width digits", "\uff10"), ("Arabic digits", "\u0660")))
    digits = _mobile(draw)
    return way, "".join(chr(ord(zero) + int(digit)) for digit in digits), (digits,)


# Mail addresses

_USERS = ("vale.quiroga", "jorge_ruiz", "marcela-pardo", "nuñez.andres", "m.castano", "compras", "lopezsofia", "tatis")
_DOMAINS = (
    ("ejemplo", "com"), ("correoejemplo", "com.co"), ("tienda-ejemplo", "net"), ("ejemplo", "edu.co"),
    ("mail.ejemplo", "org"), ("ejemplito", "co"), ("buzonejemplo", "es"), ("caixa-exemplo", "com.br"),
)  # fmt: skip


def _address(draw: random.Random) -> tuple[str, str, str]:
    user = draw.choice(_USERS) + draw.choice(("", str(draw.randint(2, 9999)), "+compras"))
    domain, ending = draw.choice(_DOMAINS)
    return user, domain, ending


def _mail(draw: random.Random, way: str, at: str, dot: str = ".", change: Callable[[str], str] = str) -> Written:
    user, domain, ending = _address(draw)
    return way, change(f"{user}{at}{domain}{dot}{ending.replace('.', dot)}"), (user, domain)


def _mail_as_is(draw: random.Random) -> Written:
    return _mail(draw, "as it is", "@")


def _mail_in_capitals(draw: random.Random) -> Written:
    return _mail(draw, "capitals", "@", change=draw.choice((str.upper, str.title, str.swapcase)))


def _mail_in_words(draw: random.Random) -> Written:
    at = draw.choice((" arroba ", "arroba", " (arroba) ", "[arroba]", " ARROBA ", " Arroba ", " (at) ", "[at]"))
    return _mail(draw, "arroba", at, draw.choice((".", ".", " punto ", " . ")))


def _mail_with_spaces(draw: random.Random) -> Written:
    return _mail(draw, "spaces", draw.choice((" @ ", " @", "@ ", "  @  ")), draw.choice((".", " .", ". ", " . ")))


def _mail_over_two_lines(draw: random.Random) -> Written:
    at, dot = draw.choice((("@\n", "."), ("\n@", "."), ("@", ".\n"), ("@", "\n."), ("\n@\n", "."), (" @\n ", ".")))
    return _mail(draw, "a line break", at, dot)


def _mail_cut_in_the_user(draw: random.Random) -> Written:
    user, domain, ending = _address(draw)
    first, last = draw.choice(("vale.", "jorge_", "andres-")), user.replace(".", "").replace("+", "")
    return "a line break in the user's part", f"{first}\n{last}@{domain}.{ending}", (last, domain)


def _mail_dressed(draw: random.Random) -> Written:
    user, domain, ending = _address(draw)
    before, after = draw.choice((("<", ">"), ("mailto:", ""), ('"', '"'), ("[", "]"), ("_", "_"), ("**", "**")))
    return "dressed", f"{before}{user}@{domain}.{ending}{after}", (user, domain)


def _mail_with_wide_at(draw: random.Random) -> Written:
    return _mail(draw, "another at sign", draw.choice(("\uff20", "\ufe6b")))


# Document numbers

_OF_DOCUMENTS = (
    "cc ", "CC: ", "C.C. ", "c.c.", "cédula ", "mi cedula es ", "Cédula de ciudadanía No. ", "documento: ", "CE ",
    "identificación número ", "con cédula de extranjería ", "T.I. ", "mi número de documento es el ", "id: ",
    "cédula # ", "doc. ", "mi identificacion es:\n", "CEDULA N° ",
)  # fmt: skip


def _cedula(draw: random.Random) -> Written:
    digits = _digits(draw, draw.choice((6, 7, 8, 8, 10, 10)))
    way, between = draw.choice((("one run", ""), ("one run", ""), ("dots", "."), ("commas", ","), ("spaces", " ")))
    groups = _thousands(digits) if between else [digits]
    return _written(f"cédula, {way}", groups, between, draw.choice(_OF_DOCUMENTS))


def _cedula_without_a_word(draw: random.Random) -> Written:
    """The answer to "¿me regala su número de cédula?": nothing but the number."""
    digits = _digits(draw, draw.choice((8, 10)))
    between = draw.choice(("", "."))
    return _written("cédula without a word", _thousands(digits) if between else [digits], between)


def _thousands(digits: str) -> list[str]:
    first = len(digits) % 3
    return _groups(digits, *((first,) if first else ()), *(3,) * (len(digits) // 3))


def _nit(draw: random.Random) -> Written:
    groups = _thousands(draw.choice("89") + _digits(draw, 8))
    written = draw.choice((".", "", " ")).join(groups) + "-" + _digits(draw, 1)
    return "NIT", draw.choice(("NIT ", "nit: ", "Nit. ", "N.I.T. ", "")) + written, tuple(groups)


def _passport(draw: random.Random) -> Written:
    letters = "".join(draw.choice("ABCDEFGHPRTXZ") for _ in range(2))
    digits = _digits(draw, 6)
    written = letters + draw.choice(("", " ", "-")) + digits
    return "passport", draw.choice(("pasaporte ", "Pasaporte No. ", "passport ", "pasaporte: ")) + written, (digits,)


def _rut(draw: random.Random) -> Written:
    groups = _thousands(_digits(draw, draw.choice((7, 8))))
    total = sum(int(digit) * (2 + at % 6) for at, digit in enumerate(reversed("".join(groups))))
    check = {10: "K", 11: "0"}.get(11 - total % 11, str(11 - total % 11))
    written = draw.choice((".", "")).join(groups) + "-" + draw.choice((check, check.lower()))
    return "RUT", draw.choice(("RUT ", "rut: ", "mi rut es ", "")) + written, tuple(groups)


def _curp(draw: random.Random) -> Written:
    letters = "".join(draw.choice("ABCDEFGHJLMNPRSTUVZ") for _ in range(4))
    birth = f"{draw.randint(50, 99)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    rest = (
        draw.choice("HM") + draw.choice(("DF", "JC", "NL", "PL")) + "".join(draw.choice("BCDFGLMN") for _ in range(3))
    )
    written = letters + birth + rest + draw.choice(("A1", "09", "B5"))
    before = draw.choice(("CURP ", "curp: ", "mi CURP es ", ""))
    return "CURP", before + draw.choice((written, written.lower())), (written, birth)


def _rfc(draw: random.Random) -> Written:
    letters = "".join(draw.choice("ABCDEFGHJLMNPRSTUVZ") for _ in range(draw.choice((3, 4))))
    birth = f"{draw.randint(50, 99)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    end = draw.choice("AB9") + draw.choice("XZ2") + draw.choice("1A7")
    between = draw.choice(("", "", "-", " "))
    written = between.join((letters, birth, end))
    return "RFC", draw.choice(("RFC ", "rfc: ", "mi RFC es ")) + written, (letters + birth, birth)


def _dni(draw: random.Random) -> Written:
    digits = _digits(draw, 8)
    written = draw.choice((digits, ".".join(_thousands(digits)), digits + "-" + draw.choice("ABCDEFGHJ")))
    secrets = (digits,) if "." not in written else tuple(_thousands(digits))
    return "DNI", draw.choice(("DNI ", "dni: ", "D.N.I. ", "mi DNI es el ")) + written, secrets


def _cpf(draw: random.Random) -> Written:
    digits = [draw.randint(0, 9) for _ in range(9)]
    for _ in range(2):
        total = sum(digit * weight for digit, weight in zip(digits, range(len(digits) + 1, 1, -1), strict=True))
        digits.append(total * 10 % 11 % 10)
    a, b, c, check = _groups("".join(map(str, digits)), 3, 3, 3)
    written = draw.choice((f"{a}.{b}.{c}-{check}", f"{a}{b}{c}{check}"))
    return "CPF", draw.choice(("CPF ", "cpf: ", "meu CPF é ", "")) + written, (a + b + c, f"{a}.{b}.{c}")


# Payment cards


def _with_luhn(draw: random.Random, beginning: str, length: int) -> str:
    body = beginning + "".join(str(draw.randint(0, 9)) for _ in range(length - len(beginning) - 1))
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(body))]
    return body + str(-sum(digit - 9 * (digit > 9) for digit in doubled) % 10)


def _card(draw: random.Random) -> Written:
    way = draw.choice(
        ("one run", "spaces", "dashes", "dots", "two spaces", "a line break", "no-break spaces", "spaced dashes")
    )
    between = {"one run": "", **_SEPARATORS}[way]
    digits, sizes = draw.choice(
        (
            (_with_luhn(draw, "4" + _digits(draw, 5), 16), (4, 4, 4)),
            (_with_luhn(draw, draw.choice(("51", "53", "55", "2230")), 16), (4, 4, 4)),
            (_with_luhn(draw, draw.choice(("34", "37")), 15), (4, 6)),
            (_with_luhn(draw, draw.choice(("36", "38")), 14), (4, 6)),
            (_with_luhn(draw, "6011", 16), (4, 4, 4)),
        )
    )
    return _written(way, _groups(digits, *sizes), between)


# Links

_PATHS = ("/pedido/{n}?token={t}", "/{t}", "/factura-{n}.pdf", "/u/{t}/perfil", "/track?guia={n}&k={t}#estado")


def _path(draw: random.Random) -> tuple[str, str]:
    token = "".join(draw.choice("abcdefghkmnpqrstuvwxyz") for _ in range(9))
    return draw.choice(_PATHS).format(n=_digits(draw, 6), t=token), token


def _link(draw: random.Random, way: str, beginning: str, hosts: Sequence[str]) -> Written:
    host, (path, token) = draw.choice(hosts), _path(draw)
    secrets = (host, token) if token in path else (host, path)
    return way, beginning + host + path, secrets


def _link_with_scheme(draw: random.Random) -> Written:
    beginning = draw.choice(("https://", "http://", "HTTPS://", "Http://", "https://www."))
    return _link(draw, "with its scheme", beginning, ("pagos.ejemplo.com", "tienda-ejemplo.net", "ejemplo.com.co:8443"))


def _link_with_www(draw: random.Random) -> Written:
    return _link(draw, "www", draw.choice(("www.", "WWW.", "Www.")), ("ejemplo.com", "tienda-ejemplo.com.co"))


def _link_bare(draw: random.Random) -> Written:
    return _link(draw, "without a scheme", "", ("ejemplo.com", "mi.tienda-ejemplo.co", "instagram.com", "bit.ly"))


def _link_to_a_chat(draw: random.Random) -> Written:
    digits = "57" + _mobile(draw)
    written = draw.choice((f"wa.me/{digits}", f"https://wa.me/{digits}", f"api.whatsapp.com/send?phone={digits}"))
    return "to a chat", written, (digits,)


def _link_to_a_number(draw: random.Random) -> Written:
    host = ".".join(str(draw.randint(11, 250)) for _ in range(4))
    return _link(draw, "to an IP address", "http://", (host, f"{host}:8080"))


def _link_dressed(draw: random.Random) -> Written:
    _, link, secrets = _link_with_scheme(draw)
    before, after = draw.choice((("<", ">"), ("(", ")"), ("[aquí](", ")"), ('"', '"'), ("*", "*"), ("«", "»")))
    return "dressed", before + link + after, secrets


# Known names

_GIVEN = (
    "Ana", "Luz Marina", "José", "María Fernanda", "Andrés", "Sofía", "Iván", "Ximena", "Óscar", "Begoña", "Jhon Jairo",
    "Tomás", "Nicolás", "Yulieth", "Angélica", "Eva", "Raúl", "Mónica", "Ignacio", "Zoë", "João", "Inés",
    "Günther", "Siobhán",
)  # fmt: skip
_FAMILY = (
    "Pérez", "Muñoz", "Rodríguez", "Zapata", "Gómez", "Castaño", "Ñáñez", "De la Cruz", "Del Río", "Echeverría",
    "Quiñones", "Ávila", "Güiza", "Sáenz", "Londoño", "D'Angelo", "Peñalosa", "Conceição", "Rojas-Vélez", "Ibáñez",
    "Nguyễn", "Łuczak", "Çelik",
)  # fmt: skip
_SMALL = {"de", "la", "del", "los", "y", "d"}


def _name(draw: random.Random) -> tuple[tuple[str, ...], Written]:
    given, family = draw.choice(_GIVEN), draw.choice(_FAMILY)
    family += " " + draw.choice(_FAMILY) if draw.random() < 0.5 else ""
    full = f"{given} {family}"
    agent = f"{draw.choice(_GIVEN)} {draw.choice(_FAMILY)}"
    way = draw.choice(list(_WAYS_OF_NAMES))
    written = _WAYS_OF_NAMES[way](given, family)
    known = (full, agent) if draw.random() < 0.5 else (agent, full)
    return known, (way, written, tuple(part for part in _parts(written) if plain(part) not in _SMALL))


def _parts(written: str) -> list[str]:
    composed = unicodedata.normalize("NFC", written)
    return "".join(character if character.isalpha() else " " for character in composed).split()


def _unaccented(name: str) -> str:
    decomposed = unicodedata.normalize("NFD", name)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


_WAYS_OF_NAMES: dict[str, Callable[[str, str], str]] = {
    "as it is": "{} {}".format,
    "capitals": lambda given, family: f"{given} {family}".upper(),
    "small letters": lambda given, family: f"{given} {family}".lower(),
    "without accents": lambda given, family: _unaccented(f"{given} {family}"),
    "small and without accents": lambda given, family: _unaccented(f"{given} {family}").lower(),
    "accents apart from their letters": lambda given, family: unicodedata.normalize("NFD", f"{given} {family}"),
    "given name": lambda given, _: given,
    "given name in capitals": lambda given, _: given.upper(),
    "first given name": lambda given, _: given.split()[0],
    "family name": lambda _, family: family,
    "family name without accents": lambda _, family: _unaccented(family).lower(),
    "first and last": lambda given, family: f"{given.split()[0]} {family.rsplit(' ', 1)[-1]}",
    "family name first": lambda given, family: f"{family}, {given}",
    "a line break": "{}\n{}".format,
    "two spaces": lambda given, family: f"{given} {family}".replace(" ", "  "),
    "a hyphen": lambda given, family: f"{given}-{family}".replace(" ", "-"),
    "a dot": lambda given, family: f"{given}.{family}".replace(" ", "."),
    "run together": lambda given, family: f"{given}{family}".replace(" ", ""),
    "first and last run together": lambda given, family: f"{given.split()[0]}{family.rsplit(' ', 1)[-1]}".lower(),
    "stars": "*{}* _{}_".format,
}


KINDS: dict[str, tuple[Writer, ...]] = {
    "phone": (
        _phone_in_one, _phone_in_groups, _phone_in_groups, _phone_with_country, _phone_in_parentheses, _landline,
        _phone_from_abroad, _phone_in_other_digits,
    ),
    "mail": (
        _mail_as_is, _mail_in_capitals, _mail_in_words, _mail_with_spaces, _mail_over_two_lines, _mail_cut_in_the_user,
        _mail_dressed, _mail_with_wide_at,
    ),
    "document": (_cedula, _cedula, _cedula_without_a_word, _nit, _passport, _rut, _curp, _rfc, _dni, _cpf),
    "card": (_card,),
    "link": (
        _link_with_scheme, _link_with_www, _link_bare, _link_to_a_chat, _link_to_a_number, _link_dressed,
    ),
    "name": (),
}  # fmt: skip
