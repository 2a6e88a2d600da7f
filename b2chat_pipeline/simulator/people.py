"""Invented names, departments, lines and contacts.

Belongs here: who and what exists. Not here: what they say (`dialogue`) and when (`timeline`).
"""

from random import Random

from b2chat_pipeline.simulator.script import Agent, Contact, ContactVersion

_DAY = 86_400

GIVEN = (
    *("Ana", "Luis", "Marta", "Jorge", "Camila", "Andrés", "Paula", "Diego", "Sofía", "Mateo", "Valeria", "Iván"),
    *("Lucía", "Óscar", "Emily", "James", "Grace", "Noah", "Olivia", "Ethan", "Chloe", "Daniel"),
)
FAMILY = (
    *("Ruiz", "Paz", "Ibarra", "Montes", "Quintero", "Salcedo", "Peña", "Arango", "Del Río", "Cifuentes", "Lozano"),
    *("Núñez", "Barreto", "Harper", "Bennett", "Whitfield", "Carver", "Doyle", "Ashby", "Marsh"),
)
CITIES = (
    ("CO", "Bogotá"),
    ("CO", "Medellín"),
    ("CO", "Cali"),
    ("CO", "Barranquilla"),
    ("MX", "Puebla"),
    ("US", "Springfield"),
)
COMPANIES = ("", "", "", "Ferretería El Roble", "Café Laguna", "Northwind Supplies", "Textiles Aurora")
TAGS = ("VIP", "Mayorista", "Moroso", "Newsletter", "Referido")

# Trailing blanks, and two spellings of one department, are what real accounts hold.
DEPARTMENTS = ("Ventas", "Soporte Técnico ", "Facturación", "Facturacion", "Logística  ", "Customer Care", "Garantías")
DEPARTMENT_WEIGHTS = (30, 28, 14, 2, 14, 8, 4)

PROVIDERS = ("WHATSAPPB2CHAT", "WHATSAPP360", "WHATSAPPBM", "WHATSAPPOFF", "FACEBOOK", "INSTAGRAM", "LIVECHAT",
             "TELEGRAM", "B2CBOTAPI", "unknown")  # fmt: skip
PROVIDER_WEIGHTS = (60, 8, 5, 2, 7, 7, 7, 2, 1.5, 0.5)

_ALIASES = {
    "FACEBOOK": "Hogar Andino",
    "INSTAGRAM": "hogar.andino",
    "LIVECHAT": "Web Hogar Andino",
    "TELEGRAM": "HogarAndinoBot",
}
_LINES = ("15550001111-Hogar Andino", "573005550000-Andino Pro")


def alias_of(provider: str, rng: Random) -> str:
    """The name of the line a chat of this provider comes in on."""
    return _ALIASES.get(provider) or _LINES[rng.random() < 0.3]


def agents(count: int) -> tuple[Agent, ...]:
    """The first `count` agents of every world, each with a username of its own."""
    return tuple(_agent(number) for number in range(count))


def _agent(number: int) -> Agent:
    given, family = GIVEN[number * 5 % len(GIVEN)], FAMILY[number * 7 % len(FAMILY)]
    plain = f"{given[0]}{family}".lower().replace(" ", "").translate(str.maketrans("áéíóúñ", "aeioun"))
    # Some people sit at another one's account: the username then says nothing about the name.
    username = f"puesto{number:02d}" if number % 6 == 5 else f"{plain}{number or ''}"
    name = f"{given} {family}" + (" " if number % 5 == 1 else "")
    return Agent(username=username, name=name, email=f"{username}@example.test")


def contact(rng: Random, *, contact_id: int, created: int) -> Contact:
    """An invented contact: first known thinly, better from its first update on."""
    interval = int((2 + 80 * rng.random() ** 2) * _DAY) + rng.randrange(_DAY)
    later = _known_contact(rng, since=created + interval)
    return Contact(contact_id, created, interval, _first_impression(later, rng, since=created), later)


def _known_contact(rng: Random, *, since: int) -> ContactVersion:
    name = f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"
    country, city = rng.choice(CITIES)
    handle = name.lower().replace(" ", ".").translate(str.maketrans("áéíóúñ", "aeioun"))
    return ContactVersion(
        since=since,
        fullname=name,
        mobile=_mobile(rng, country) if rng.random() < 0.93 else "",
        landline=rng.choice(("", "", "", None, "+576015550100")),
        email=f"{handle}{rng.randrange(1000)}@example.test" if rng.random() < 0.55 else "",
        identification=str(rng.randrange(10_000_000, 99_999_999)) if rng.random() < 0.3 else "",
        address=f"Calle {rng.randrange(1, 190)} # {rng.randrange(1, 99)}-{rng.randrange(1, 99)}"
        if rng.random() < 0.4
        else "",
        city=city,
        country=country,
        company=rng.choice(COMPANIES),
        custom_attributes=(
            ("Segmento", rng.choice(("Premium", "Hogar", "Empresa"))),
            ("Asesor", rng.choice((None, "Zona norte"))),
        ),
        tags=tuple((tag, since) for tag in rng.sample(TAGS, rng.choice((0, 1, 1, 2)))),
    )


def _mobile(rng: Random, country: str) -> str:
    return f"+1555{rng.randrange(10_000_000):07d}" if country == "US" else f"+57300555{rng.randrange(10_000):04d}"


def _first_impression(later: ContactVersion, rng: Random, *, since: int) -> ContactVersion:
    mobile = later.mobile.removeprefix("+") if rng.random() < 0.2 else later.mobile
    return ContactVersion(
        since=since,
        fullname=mobile if mobile and rng.random() < 0.3 else later.fullname,
        mobile=mobile,
        landline=later.landline,
        email="",
        identification="",
        address="",
        city=later.city,
        country=later.country,
        company="",
        custom_attributes=(),
        tags=(),
    )
