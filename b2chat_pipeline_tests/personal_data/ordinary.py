"""Ordinary sentences of support chats: with numbers and dotted words, but with no one's data. They should stay as they
are, or the model judges a conversation it cannot read."""

import random
from collections.abc import Iterator

_MONTHS = ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "octubre", "noviembre")


def ordinary(number: int, seed: int) -> Iterator[tuple[str, str]]:
    """`number` times what a sentence speaks of, and the sentence."""
    draw = random.Random(f"ordinary {seed}")
    for _ in range(number):
        about = draw.choice(list(_SENTENCES))
        yield (
            about,
            draw.choice(_SENTENCES[about]).format(
                order=draw.randint(1000, 999999),
                code=draw.choice(("A", "FV", "PQR", "OC")) + "-" + str(draw.randint(100, 99999)),
                price=f"{draw.randint(1, 999)}.{draw.choice(('000', '900', '500'))}",
                million=f"{draw.randint(1, 19)}.{draw.randint(100, 999)}.{draw.choice(('000', '900'))}",
                cents=f"{draw.randint(1, 9)},{draw.randint(100, 999)}.{draw.randint(10, 99)}",
                day=draw.randint(1, 28),
                month=draw.randint(1, 12),
                of_month=draw.choice(_MONTHS),
                year=draw.choice((2025, 2026)),
                hour=draw.randint(1, 12),
                clock=draw.randint(0, 23),
                minute=draw.randint(0, 59),
                few=draw.randint(2, 60),
            ),
        )


_SENTENCES = {
    "order numbers": (
        "mi pedido {order} no ha llegado", "la orden #{order} sigue pendiente", "factura {code} del mes pasado",
        "el número de pedido es {order}.", "caso {code}, radicado {order}", "Pedido N° {order} entregado",
        "order no. {order} is late", "la guía {order} no aparece",
    ),
    "prices": (
        "cuesta ${price}", "me cobraron $ {million} y no era", "son {price} pesos", "total: COP {million}",
        "USD {cents} con envío", "vale {few} mil pesos", "un descuento del {few}% sobre ${price}",
        "entre {price} y {million} pesos",
    ),
    "dates": (
        "lo compré el {day:02}/{month:02}/{year}", "el {year}-{month:02}-{day:02} pagué", "el {day} de {of_month}",
                "desde el {day} de {of_month} de {year}", "{day:02}-{month:02}-{year} es la fecha",
        "para el {day}.{month}.{year}",
        "entre el {day:02}/{month:02} y hoy",
    ),
    "hours": (
        "a las {clock:02}:{minute:02}", "de {hour}:{minute:02} a. m. a 5 p. m.", "a las {hour}:{minute:02}pm por favor",
        "en {few} minutos", "el {year}-{month:02}-{day:02} {clock:02}:{minute:02}:00 quedó pago", "atendemos 24/7",
    ),
    "quantities": (
        "compré {few} unidades de 500 ml", "talla {few} en negro", "la promo 2x1", "llegaron {few} de {few}",
        "con 8 GB y 256 de memoria", "pesa 1.5 kg y mide 30x40 cm", "esperé {few} días", "el 3.5 y el 4.0 no sirven",
        "iPhone 15 Pro Max", "Windows 11 versión 23.2.1",
    ),
    "words": (
        "Gracias.Quedo atenta", "ok,listo.Entonces espero", "no llegó el carrito de la compra ni la factura",
        "la aplicación se cierra al pagar", "me pueden ayudar por favor...", "sí/no", "y/o el cambio de talla",
        "The app crashes when I pay.Please help", "ya reinicié el módem etc.", "calidad/precio muy bien",
        "¿el punto de venta está abierto?", "pagué en el punto Éxito", "la arroba de café está cara",
    ),
}  # fmt: skip
