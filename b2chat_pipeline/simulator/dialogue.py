"""What people write, in Spanish and English.

Belongs here: texts only, as data. Not here: who says them when (`timeline`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A kind of conversation: opening lines, then turns (customer, agent) in the order that reads naturally."""

    department: str
    tag: str
    openings: tuple[str, ...]
    first_answers: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Language:
    """The account's standing texts in one language, and small talk for long chats."""

    bot: tuple[tuple[str, str], ...]
    greeting: str
    farewell: str
    broadcast: tuple[str, ...]
    agent_openings: tuple[str, ...]
    survey: str
    survey_thanks: str
    declines: tuple[str, ...]
    small_talk: tuple[tuple[str, str], ...]
    topics: tuple[Topic, ...]


SPANISH = Language(
    bot=(
        ("¡Hola! 👋 Soy el asistente de Hogar Andino. Escribe 1 para ventas, 2 para soporte o 3 para tu pedido.", "3"),
        ("Por favor indícame tu nombre completo.", "Ya lo tienen registrado"),
        ("Gracias. Te comunico con un asesor 🙌", "ok"),
    ),
    greeting="Bienvenido a Hogar Andino, en un momento te atiendo.",
    farewell="Gracias por comunicarte con Hogar Andino. Este chat ha finalizado.",
    broadcast=(
        "🎉 Solo esta semana: 20 % en línea de cocina. Responde INFO para saber más.",
        "Te recordamos que tu factura vence en 3 días.",
    ),
    agent_openings=(
        "Hola, te escribo de Hogar Andino por tu cotización pendiente.",
        "Buen día, ¿pudiste revisar la propuesta que te enviamos?",
    ),
    survey="¿Cómo calificas la atención de 1 a 5?",
    survey_thanks="¡Gracias por tu opinión!",
    declines=("no gracias", "despues", "estoy ocupada ahora"),
    small_talk=(
        ("ok", "¿Hay algo más en lo que te pueda ayudar?"),
        ("un momento por favor", "Claro, quedo atento."),
        ("Gracias 🙏", "Con mucho gusto 😊"),
        ("sigues ahí?", "Sí, estoy revisando con el área encargada."),
        ("Perfecto", "Te confirmo en unos minutos."),
        ("https://hogar.example.test/producto?id=88&color=azul", "Sí, ese es el producto. Lo tenemos disponible."),
    ),
    topics=(
        Topic(
            department="Logística  ",
            tag="Pedido demorado",
            openings=("Hola, mi pedido {order} no ha llegado", "Buenas, quiero saber dónde está el pedido {order} 📦"),
            first_answers=(
                "Hola, con gusto reviso el estado del pedido {order}.",
                "Buen día. Permíteme validar con la transportadora.",
            ),
            turns=(
                (
                    "La página dice entregado pero no tengo nada 😡",
                    "Lamento la situación. ¿Me confirmas la dirección de entrega?",
                ),
                (
                    "Es la misma de siempre, en el conjunto Los Cerezos",
                    "Gracias. La transportadora tiene una novedad: no había quien recibiera.",
                ),
                ("Pero si siempre hay portería", "Tienes razón, ya quedó reprogramado para mañana en la mañana."),
                ("Listo, muchas gracias", "Con gusto. Te llegará un mensaje con la guía."),
            ),
        ),
        Topic(
            department="Ventas",
            tag="Cotización",
            openings=(
                "Hola, quiero información de la lavadora de 18 kg",
                "Buenas tardes, me regalan una cotización por favor?",
            ),
            first_answers=(
                "¡Hola! Claro que sí. ¿Para qué ciudad sería el envío?",
                "Con gusto te cotizo. ¿Qué cantidad necesitas?",
            ),
            turns=(
                ("Sería una, para Medellín", "El valor es de $1.890.000 con envío incluido."),
                ("Y a cuotas?", "Puedes pagarlo hasta en 12 cuotas sin interés con tarjetas aliadas."),
                ("Tienen garantía?", "Sí, 2 años directamente con nosotros."),
                ("Bueno, la voy a llevar", "¡Excelente! Te envío el enlace de pago."),
            ),
        ),
        Topic(
            department="Soporte Técnico ",
            tag="Falla",
            openings=("La nevera que compré no enfría", "Ayuda, el horno muestra el error E-07"),
            first_answers=(
                "Qué pena con el inconveniente. ¿Hace cuánto lo compraste?",
                "Hola, vamos a revisarlo paso a paso.",
            ),
            turns=(
                ("Hace como tres meses", "Por favor desconéctalo 5 minutos y vuelve a conectarlo."),
                ("Ya lo hice y sigue igual", "¿Podrías enviarme una foto de la placa del equipo?"),
                ("Ya te la mando", "Gracias. Programé la visita técnica con el caso {order}."),
                ("Para cuándo sería?", "El jueves entre 8 y 12 del día."),
            ),
        ),
        Topic(
            department="Facturación",
            tag="Factura",
            openings=("Necesito la factura electrónica del pedido {order}", "Me cobraron dos veces 😤"),
            first_answers=(
                "Hola, con gusto. ¿A nombre de quién está la compra?",
                "Permíteme verificar el cobro, por favor.",
            ),
            turns=(
                ("A nombre de la empresa", "¿Me confirmas el correo al que la enviamos?"),
                ("El mismo que tienen registrado", "Listo, ya fue enviada. Revisa también correo no deseado."),
                ("No me llega", "La adjunto por este medio."),
                ("Ahora sí, gracias", "A ti por escribirnos."),
            ),
        ),
    ),
)

ENGLISH = Language(
    bot=(
        ("Hi! I'm the Hogar Andino assistant. Type 1 for sales, 2 for support or 3 for your order.", "2"),
        ("Thanks, connecting you with an agent 🙌", "ok"),
    ),
    greeting="Welcome to Hogar Andino, an agent will be right with you.",
    farewell="Thank you for contacting Hogar Andino. This chat is now closed.",
    broadcast=(
        "☀️ Summer sale: 15% off all kitchen items. Reply INFO to know more.",
        "Reminder: your invoice is due in 3 days.",
    ),
    agent_openings=(
        "Hello, this is Hogar Andino about your open quote.",
        "Good morning! Did you have a chance to look at our proposal?",
    ),
    survey="How would you rate our service from 1 to 5?",
    survey_thanks="Thank you for your feedback!",
    declines=("no thanks", "maybe later"),
    small_talk=(
        ("ok", "Is there anything else I can help you with?"),
        ("one sec", "Sure, take your time."),
        ("thanks! 👍🏽", "You're welcome 😊"),
        ("are you still there?", "Yes, I'm checking with the team."),
        ("مرحبا، هل يمكنكم المساعدة بالعربية؟", "Of course, a colleague who speaks Arabic will follow up."),
        ("תודה רבה", "Happy to help!"),
    ),
    topics=(
        Topic(
            department="Customer Care",
            tag="Refund",
            openings=("Hi, I'd like to return order {order}", "Hello, I got the wrong item 😕"),
            first_answers=(
                "Hi there! I'm sorry to hear that. Let me pull up the order.",
                "Hello, happy to help with the return.",
            ),
            turns=(
                ("The blender is the wrong colour", "Thanks. Would you like an exchange or a refund?"),
                ("A refund please", "Done. You'll see it in 5 to 7 business days."),
                ("Do I need to ship it back?", "Yes, I'm sending you a prepaid label."),
                ("Great, thank you so much!", "My pleasure!"),
            ),
        ),
        Topic(
            department="Garantías",
            tag="Warranty",
            openings=("My coffee maker stopped working", "Is the warranty still valid for order {order}?"),
            first_answers=("Sorry about that! When did you buy it?", "Let me check the warranty for you."),
            turns=(
                ("Last October I think", "It is still covered. Could you send a picture of the serial number?"),
                ("Sure, give me a minute", "Thank you, the claim is {order}."),
                ("How long does it take?", "Usually ten business days."),
                ("That's quite long...", "I understand. I've asked for priority handling."),
            ),
        ),
    ),
)

MEDIA = {
    "IMAGE": ("jpg", ("Foto de la placa", "Comprobante", None, None)),
    "FILE": ("pdf", ("Factura", "Cotización", None)),
    "AUDIO": ("ogg", (None,)),
    "STICKER": ("webp", (None,)),
    "VIDEO": ("mp4", (None, "Así suena")),
}
MEDIA_WEIGHTS = (16, 59, 36, 9, 1)
