"""The words by which the judge knows what a sentence says: Spanish and English, some Arabic and Hebrew, emoji.

Belongs here: words only, as data; they are those of the simulator's own dialogues and their near kin. Not here: what
follows from them (`judge`).
"""

import re


def _any_of(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


# What the customer feels.
ANGER = _any_of(
    "😡", "😤", "🤬", "dos veces", r"p[ée]sim", "inaceptable", "terrible", "unacceptable", r"\bworst\b", "charged twice"
)
COMPLAINT = _any_of(
    *("no ha llegado", "no me llega", "no tengo nada", "sigue igual", "no enfr[ií]a", r"\berror\b", "pero si", "😕"),
    *("wrong", "stopped working", "quite long", "hasn't arrived", "not arrived", "still nothing", "doesn't work"),
)
DELIGHT = _any_of("much[ií]simas gracias", "excelente", "genial", "thank you so much", "so helpful", "amazing", "😍")
THANKS = _any_of("gracias", "thank", "🙏", "👍", "obrigad", "شكر", "תודה")
# Answers to a question of the company's that hold a word of thanks.
NO_THANKS = _any_of("no gracias", "no,? thanks")

# What the customer reports or asks.
SETTLED = _any_of(
    *("ahora s[ií]", "listo", "perfecto", "ya lleg", "solucionad", "resuelt", "ya funciona", "la voy a llevar"),
    *(r"\bgreat\b", r"\bperfect\b", "it works", r"\bsolved\b", r"\bsorted\b"),
)
CHASING = _any_of(
    *("sigues ah[ií]", "sigo esperando", "alguna novedad", "no me llega", "sigue igual", "ya lo hice"),
    *("still there", "still waiting", "any news", "any update"),
)
QUESTION = _any_of(r"\?", "؟")

# What the company says.
AUTOMATIC = _any_of(
    *("asistente de", "escribe 1", "tu nombre completo", "te comunico con", "bienvenid", "en un momento te atiend"),
    *("ha finalizado", "solo esta semana", "te recordamos que"),
    *("the hogar andino assistant", "type 1 for", "connecting you", "^welcome to", "will be right with you"),
    *("is now closed", "summer sale", "^reminder:"),
)
DONE = _any_of(
    *("ya fue enviad", "qued[oó] reprogramad", "la adjunto", "te env[ií]o", "program[eé] la visita", "con mucho gusto"),
    *("^con gusto. te llegar[aá]", "a ti por escribirnos", "^done", "i'm sending", "the claim is", "you're welcome"),
    *("my pleasure", "happy to help!", "i've asked for"),
)
WHEN = _any_of(
    *(
        "ma[ñn]ana",
        r"\b(?:lunes|martes|mi[ée]rcoles|jueves|viernes)\b",
        r"\d+ d[ií]as",
        "entre las? ?[0-9]",
        "hoy mismo",
    ),
    *("tomorrow", r"\b(?:mon|tues|wednes|thurs|fri)day\b", "business days", "by (?:today|tonight)"),
)
VAGUE = _any_of(
    *("te confirmo", "estoy revisando", "quedo atento", "perm[ií]teme", "vamos a revisar", "con gusto reviso"),
    *("i'm checking", "will follow up", "let me (?:check|pull)", "take your time"),
)

# Of what the conversation is, and what lies behind it.
TOPICS = {
    "delivery": _any_of("pedido", "entrega", "transportadora", r"\border\b", "delivery"),
    "quote": _any_of("cotizaci[oó]n", "lavadora", "cuotas", r"\bquote\b"),
    "fault": _any_of("no enfr[ií]a", r"\berror\b", "stopped working", "visita t[ée]cnica"),
    "invoice": _any_of("factura", "cobr", "invoice"),
    "refund": _any_of("refund", r"\breturn\b", "devoluci[oó]n", "wrong item"),
    "warranty": _any_of("garant[ií]a", "warranty"),
}
ROOT_CAUSES = {
    "nobody received the parcel": _any_of("no hab[ií]a quien recibiera"),
    "charged twice": _any_of("cobraron dos veces", "charged twice"),
    "wrong item sent": _any_of("wrong item", "wrong colou?r"),
    "product fault": _any_of("no enfr[ií]a", "muestra el error", "stopped working"),
    "mail not received": _any_of("no me llega"),
}

LANGUAGES = {
    "es": _any_of(r"\b(?:el|la|los|que|mi|me|no|por|una?|hola|buenas|gracias|quiero|est[aá]|ya|es|y|como|para)\b"),
    "en": _any_of(r"\b(?:the|my|i|i'd|is|it|do|a|hi|hello|thanks|thank|you|for|are|still|please|to|how)\b"),
    "ar": _any_of("[\u0600-\u06ff]+"),
    "he": _any_of("[\u0590-\u05ff]+"),
}
