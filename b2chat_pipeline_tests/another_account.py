"""What the second server tells of its account, twice, three weeks apart, and the rows it must become, by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]


def at(text: str) -> datetime:
    """A time in Bogotá, five hours behind UTC all year."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(hours=5)


def _id(number: int) -> str:
    return f"11111111-2222-4333-8444-5555555555{number:02d}"


def _viewer(number: int) -> str:
    return f"https://app.b2chat.io/viewer/{_id(number)}/00000000-0000-4000-8000-000000000000"


MARTA: Row = {"email": "marta@example.test", "name": "Marta Ruiz", "username": "mruiz"}
LUIS: Row = {"email": "luis@example.test", "name": "Luis Paz ", "username": "lpaz"}
ANA: Row = {
    "custom_attributes": None, "email": "", "id": 70000001, "identification": "", "mobile_number": "+15550102030",
    "name": "Ana Demo", "phone_number": "", "tags": None,
}  # fmt: skip
BETO: Row = {"id": 70000002, "mobile_number": "15550102031", "name": "15550102031"}
CLARA: Row = {
    "id": "70000003", "mobile_number": None, "name": None, "phone_number": "6015550100", "email": "Clara@example.test",
    "custom_attributes": {"Plan": "Oro"}, "tags": [{"name": "VIP", "assigned_at": 1741000000}],
}  # fmt: skip

_GREETING: list[Row] = [
    {"body": "Hola, quiero informacion", "broadcasted": False, "caption": None, "created_at": "2025-03-03 09:12:09",
     "incoming": True, "location": None, "type": "TEXT"},
    {"body": "Bienvenida 😀", "broadcasted": False, "created_at": "2025-03-03 09:12:50", "incoming": False,
     "type": "TEXT"},
    {"body": "https://files.example.test/a/plan.pdf", "broadcasted": False, "caption": "Plan",
     "created_at": "2025-03-03 09:21:05", "incoming": False, "location": None, "type": "FILE"},
    {"body": "Gracias", "broadcasted": False, "caption": None, "created_at": "2025-03-03 09:21:05", "incoming": True,
     "location": None, "type": "TEXT"},
]  # fmt: skip
_SURVEY: list[Row] = [
    {"body": "Como calificas la atencion de 1 a 5?", "created_at": "2025-03-05 16:40:11", "incoming": False,
     "type": "TEXT"},
    {"body": "5", "created_at": "2025-03-05 16:41:30", "incoming": True, "type": "TEXT"},
]  # fmt: skip
_MEDIA: list[Row] = [
    {"body": "Ok", "created_at": "2025-03-04 00:05:00", "incoming": True, "type": "TEXT"},
    {"body": "Ok", "created_at": "2025-03-04 00:05:00", "incoming": True, "type": "TEXT"},
    {"body": "https://files.example.test/s.webp", "created_at": "2025-03-04 00:04:00", "incoming": True,
     "type": "STICKER"},
    {"body": None, "created_at": "2025-03-04 00:03:00", "incoming": True, "type": "LOCATION", "location": {"lat": 4.6}},
    {"body": "Promo", "created_at": "2025-02-01 08:00:00", "incoming": False, "broadcasted": True, "type": "TEXT"},
]  # fmt: skip
_LATE: list[Row] = [{"body": "Sigo esperando", "created_at": "2025-03-20 10:00:00", "incoming": True, "type": "TEXT"}]

_A: Row = {
    "agent": MARTA, "alias": "15550001111-Demo", "chat_id": _id(1), "closed_at": None, "contact": ANA,
    "created_at": "2025-03-03 09:12:44", "department": "Ventas", "duration": None, "is_agent_available": True,
    "messages": _GREETING, "opened_at": "2025-03-03 09:12:44", "picked_up_at": "2025-03-03 09:12:48",
    "provider": "WHATSAPPB2CHAT", "responded_at": "2025-03-03 09:21:05", "status": "RESPONDED_BY_AGENT", "tags": [],
    "viewer_url": _viewer(1),
}  # fmt: skip
# The last second of a day.
_C: Row = {
    "agent": None, "alias": "", "chat_id": _id(3), "closed_at": None, "contact": CLARA,
    "created_at": "2025-03-03 23:59:59", "department": "Soporte Técnico  ", "is_agent_available": None,
    "messages": None, "opened_at": None, "provider": "LIVECHAT", "status": "BOT_CHATTING", "tags": None,
}  # fmt: skip
# The first second of the next one.
_D: Row = {
    "agent": MARTA, "alias": "Marca Ñ", "chat_id": _id(4), "closed_at": "2025-03-04 09:00:00", "contact": ANA,
    "created_at": "2025-03-04 00:00:00", "department": {"id": 9, "name": "Ventas "}, "duration": "00:09:00:00",
    "is_agent_available": False, "messages": _MEDIA, "opened_at": "2025-03-04 00:00:00",
    "picked_up_at": "2025-03-04 00:01:00", "response_at": "2025-03-04 00:00:59", "provider": "INSTAGRAM",
    "status": "CLOSED", "tags": ["VIP", {"name": "Moroso", "assigned_at": 1741000000}, "VIP"],
}  # fmt: skip
_B: Row = {
    "agent": LUIS, "alias": "15550001111-Demo", "chat_id": _id(2), "closed_at": None, "contact": BETO,
    "created_at": "2025-03-04 10:00:00", "department": None, "duration": None, "is_agent_available": True,
    "messages": [], "opened_at": "2025-03-04 10:00:00", "picked_up_at": "2025-03-04 10:00:00",
    "provider": "WHATSAPPB2CHAT", "responded_at": None, "status": "PICKED_UP", "tags": [], "viewer_url": _viewer(2),
}  # fmt: skip
_F: Row = {
    "chat_id": _id(6),
    "created_at": "2025-03-04 12:30:00",
    "status": "ON_HOLD",
    "provider": "RCS",
    "unheard": {"of": 1},
}
# The day before and the day after, which nobody asks for.
_OUTSIDE: list[Row] = [
    {"chat_id": _id(7), "created_at": "2025-03-02 23:59:59"},
    {"chat_id": _id(8), "created_at": "2025-03-05 00:00:00"},
]

TOLD_BEFORE = [_A, _B, _C, _D, _F, *_OUTSIDE]
TOLD_LATER = [
    # Closed, with a survey.
    _A | {"status": "COMPLETED_POLL", "closed_at": "2025-03-05 16:40:10", "duration": "02:07:27:26",
          "messages": [*reversed(_GREETING), *_SURVEY], "tags": [{"name": "Encuesta"}]},
    # An agent began it, so its messages stay untold; its contact has a name now.
    _B | {"status": "CLOSED", "closed_at": "2025-03-10 10:00:00", "duration": "06:00:00:00",
          "contact": BETO | {"name": "Beto Nuevo", "mobile_number": "+15550102031"}},
    _C | {"agent": LUIS, "status": "LEFT_BY_CONTACT", "opened_at": "2025-03-03 23:59:59",
          "picked_up_at": "2025-03-04 08:00:00", "closed_at": "2025-03-04 08:30:00"},
    # Open again, with another agent, without one of its messages.
    _D | {"agent": LUIS, "status": "RESPONDED_BY_AGENT", "closed_at": None, "duration": None,
          "messages": [message for message in _MEDIA if message["type"] != "STICKER"] + _LATE},
    _F,
    *_OUTSIDE,
]  # fmt: skip

_ANA_FULL: Row = {
    "contact_id": 70000001, "fullname": "Ana Demo", "identification": "CC 10", "email": "ana@example.test",
    "landline": "", "mobile": "+15550102030", "address": "Calle 1", "country": "CO", "city": "Medellín", "company": "",
    "merchant_id": 5, "created": "2024-11-09 19:10:23", "updated": "2025-03-04 16:24:14",
    "custom_attributes": [{"name": "Segmento", "value": "Premium"}, {"name": "Asesor", "value": None}],
    "tags": [{"name": "VIP", "assigned_at": 1741000000}],
}  # fmt: skip
_BETO_FULL: Row = {
    "contact_id": "70000002", "fullname": "Beto Nuevo", "mobile": "300 555 0102", "country": "CO",
    "landline": "6015550101", "created": "2025-03-04 09:59:00", "updated": "2025-03-20 08:00:00",
    "custom_attributes": {"Segmento": "Hogar"}, "tags": None, "row_index": 3,
}  # fmt: skip
TOLD_CONTACTS_BEFORE = [_ANA_FULL]
TOLD_CONTACTS_LATER = [_ANA_FULL | {"fullname": "Ana María Demo", "updated": "2025-03-21 10:00:00"}, _BETO_FULL]

# What the API never tells.
_CHAT: Row = {"priority": "normal", "topic": None, "resolution_note": None, "is_deleted": False, "deleted_at": None,
              "deletion_reason": None, "time_flags": [], "sync_version": 1}  # fmt: skip
_ROW_A = _CHAT | {
    "b2chat_id": _id(1), "agent": "mruiz", "contact": "70000001", "department": "Ventas", "provider": "whatsapp",
    "raw_provider": "WHATSAPPB2CHAT", "status": "open", "raw_status": "RESPONDED_BY_AGENT", "is_agent_available": True,
    "alias": "15550001111-Demo", "tags": [], "unread_count": 1, "created_at": at("2025-03-03 09:12:44"),
    "opened_at": at("2025-03-03 09:12:44"), "picked_up_at": at("2025-03-03 09:12:48"),
    "response_at": at("2025-03-03 09:21:05"), "closed_at": None, "duration": None, "raw_duration": None,
    "last_modified_at": at("2025-03-03 09:21:05"), "messages_told": True,
}  # fmt: skip
_ROW_C = _CHAT | {
    "b2chat_id": _id(3), "agent": None, "contact": "70000003", "department": "Soporte Técnico", "provider": "livechat",
    "raw_provider": "LIVECHAT", "status": "pending", "raw_status": "BOT_CHATTING", "is_agent_available": None,
    "alias": None, "tags": [], "unread_count": 0, "created_at": at("2025-03-03 23:59:59"), "opened_at": None,
    "picked_up_at": None, "response_at": None, "closed_at": None, "duration": None, "raw_duration": None,
    "last_modified_at": at("2025-03-03 23:59:59"), "messages_told": False,
}  # fmt: skip
_ROW_D = _CHAT | {
    "b2chat_id": _id(4), "agent": "mruiz", "contact": "70000001", "department": "Ventas", "provider": "instagram",
    "raw_provider": "INSTAGRAM", "status": "closed", "raw_status": "CLOSED", "is_agent_available": False,
    "alias": "Marca Ñ", "tags": ["VIP", "Moroso"], "unread_count": 4, "created_at": at("2025-03-04 00:00:00"),
    "opened_at": at("2025-03-04 00:00:00"), "picked_up_at": at("2025-03-04 00:01:00"),
    "response_at": at("2025-03-04 00:00:59"), "closed_at": at("2025-03-04 09:00:00"), "duration": 32400,
    "raw_duration": "00:09:00:00", "last_modified_at": at("2025-03-04 09:00:00"), "messages_told": True,
    "time_flags": ["response_at before picked_up_at"],
}  # fmt: skip
_ROW_B = _CHAT | {
    "b2chat_id": _id(2), "agent": "lpaz", "contact": "70000002", "department": None, "provider": "whatsapp",
    "raw_provider": "WHATSAPPB2CHAT", "status": "open", "raw_status": "PICKED_UP", "is_agent_available": True,
    "alias": "15550001111-Demo", "tags": [], "unread_count": 0, "created_at": at("2025-03-04 10:00:00"),
    "opened_at": at("2025-03-04 10:00:00"), "picked_up_at": at("2025-03-04 10:00:00"), "response_at": None,
    "closed_at": None, "duration": None, "raw_duration": None, "last_modified_at": at("2025-03-04 10:00:00"),
    "messages_told": False,
}  # fmt: skip
_ROW_F = _CHAT | {
    "b2chat_id": _id(6), "agent": None, "contact": None, "department": None, "provider": "other", "raw_provider": "RCS",
    "status": "unknown", "raw_status": "ON_HOLD", "is_agent_available": None, "alias": None, "tags": [],
    "unread_count": 0, "created_at": at("2025-03-04 12:30:00"), "opened_at": None, "picked_up_at": None,
    "response_at": None, "closed_at": None, "duration": None, "raw_duration": None,
    "last_modified_at": at("2025-03-04 12:30:00"), "messages_told": False,
}  # fmt: skip
CHATS_BEFORE = [_ROW_A, _ROW_C, _ROW_D, _ROW_B, _ROW_F]
CHATS_LATER = [
    _ROW_A | {"status": "closed", "raw_status": "COMPLETED_POLL", "closed_at": at("2025-03-05 16:40:10"),
              "duration": 199646, "raw_duration": "02:07:27:26", "tags": ["Encuesta"], "sync_version": 2,
              "last_modified_at": at("2025-03-05 16:41:30")},
    _ROW_C | {"agent": "lpaz", "status": "closed", "raw_status": "LEFT_BY_CONTACT", "sync_version": 2,
              "opened_at": at("2025-03-03 23:59:59"), "picked_up_at": at("2025-03-04 08:00:00"),
              "closed_at": at("2025-03-04 08:30:00"), "duration": 30601,
              "last_modified_at": at("2025-03-04 08:30:00")},
    _ROW_D | {"agent": "lpaz", "status": "open", "raw_status": "RESPONDED_BY_AGENT", "closed_at": None,
              "duration": None, "raw_duration": None, "sync_version": 2, "unread_count": 4,
              "last_modified_at": at("2025-03-20 10:00:00")},
    _ROW_B | {"status": "closed", "raw_status": "CLOSED", "closed_at": at("2025-03-10 10:00:00"), "duration": 518400,
              "raw_duration": "06:00:00:00", "sync_version": 2, "last_modified_at": at("2025-03-10 10:00:00")},
    _ROW_F,
]  # fmt: skip


def _message(chat: int, time: str, **told: Any) -> Row:  # noqa: ANN401 - any column's value
    """A row of messages; what is not told here is what the API never or seldom tells."""
    return {
        "chat": _id(chat), "timestamp": at(time), "text": None, "type": "text", "raw_type": "TEXT", "incoming": True,
        "broadcasted": None, "image_url": None, "file_url": None, "caption": None, "location": None,
        "b2chat_message_id": None, "local_image_path": None, "local_file_path": None, "media_backed_up": False,
        "media_size": None, "media_mime_type": None, "time_flag": None, "superseded": False,
    } | told  # fmt: skip


_OF_A = [
    _message(1, "2025-03-03 09:12:09", text="Hola, quiero informacion", broadcasted=False),
    _message(1, "2025-03-03 09:12:50", text="Bienvenida 😀", incoming=False, broadcasted=False),
    _message(1, "2025-03-03 09:21:05", type="file", raw_type="FILE", incoming=False, broadcasted=False,
             file_url="https://files.example.test/a/plan.pdf", caption="Plan"),
    _message(1, "2025-03-03 09:21:05", text="Gracias", broadcasted=False),
]  # fmt: skip
_OF_A_LATER = [
    _message(1, "2025-03-05 16:40:11", text="Como calificas la atencion de 1 a 5?", incoming=False),
    _message(1, "2025-03-05 16:41:30", text="5"),
]
_STICKER = _message(
    4, "2025-03-04 00:04:00", type="image", raw_type="STICKER", image_url="https://files.example.test/s.webp"
)
_OF_D = [
    _message(4, "2025-02-01 08:00:00", text="Promo", incoming=False, broadcasted=True),
    _message(4, "2025-03-04 00:03:00", type="file", raw_type="LOCATION", location={"lat": 4.6}),
    _STICKER,
    _message(4, "2025-03-04 00:05:00", text="Ok"),
    _message(4, "2025-03-04 00:05:00", text="Ok"),
]
MESSAGES_BEFORE = [*_OF_A, *_OF_D]
MESSAGES_LATER = [
    *_OF_A,
    *_OF_A_LATER,
    *_OF_D[:2],
    _STICKER | {"superseded": True},
    *_OF_D[3:],
    _message(4, "2025-03-20 10:00:00", text="Sigo esperando"),
]

_STUB: Row = {"address": None, "city": None, "country": None, "company": None, "merchant_id": None, "is_full": False,
              "is_deleted": False, "deleted_at": None, "deletion_reason": None, "time_flags": [], "created_at": None,
              "updated_at": None, "email": None, "identification": None, "phone_number": None,
              "custom_attributes": None, "tags": None}  # fmt: skip
_ROW_ANA = _STUB | {
    "b2chat_id": "70000001", "full_name": "Ana Demo", "mobile": "+15550102030", "raw_mobile": "+15550102030",
    "email": "ana@example.test", "identification": "CC 10", "address": "Calle 1", "city": "Medellín", "country": "CO",
    "merchant_id": "5", "is_full": True, "created_at": at("2024-11-09 19:10:23"),
    "updated_at": at("2025-03-04 16:24:14"), "tags": [{"name": "VIP", "assigned_at": 1741000000}],
    "custom_attributes": [{"name": "Segmento", "value": "Premium"}, {"name": "Asesor", "value": None}],
}  # fmt: skip
_ROW_BETO = _STUB | {
    "b2chat_id": "70000002", "full_name": "15550102031", "mobile": "+15550102031", "raw_mobile": "15550102031",
}  # fmt: skip
_ROW_CLARA = _STUB | {
    "b2chat_id": "70000003", "full_name": "", "mobile": None, "raw_mobile": None, "phone_number": "6015550100",
    "email": "Clara@example.test", "custom_attributes": {"Plan": "Oro"},
    "tags": [{"name": "VIP", "assigned_at": 1741000000}],
}  # fmt: skip
CONTACTS_BEFORE = [_ROW_ANA, _ROW_BETO, _ROW_CLARA]
CONTACTS_LATER = [
    _ROW_ANA | {"full_name": "Ana María Demo", "updated_at": at("2025-03-21 10:00:00")},
    _STUB | {
        "b2chat_id": "70000002", "full_name": "Beto Nuevo", "mobile": "+573005550102", "raw_mobile": "300 555 0102",
        "phone_number": "6015550101", "country": "CO", "is_full": True, "created_at": at("2025-03-04 09:59:00"),
        "updated_at": at("2025-03-20 08:00:00"), "custom_attributes": {"Segmento": "Hogar"},
    },
    _ROW_CLARA,
]  # fmt: skip

_AGENT: Row = {"is_active": True, "is_deleted": False, "deleted_at": None, "deletion_reason": None}
_LUIS = _AGENT | {"b2chat_id": "lpaz", "username": "lpaz", "name": "Luis Paz ", "email": "luis@example.test"}
_MARTA = _AGENT | {"b2chat_id": "mruiz", "username": "mruiz", "name": "Marta Ruiz", "email": "marta@example.test"}
AGENTS_BEFORE = [_LUIS | {"department": None}, _MARTA | {"department": "Ventas"}]
# He took over a chat of Ventas; his own newer chat names no department.
AGENTS_LATER = [_LUIS | {"department": "Ventas"}, _MARTA | {"department": "Ventas"}]

_DEPARTMENT: Row = {"parent_id": None, "is_leaf": True, "is_active": True, "path": None, "level": 0}
DEPARTMENTS = [
    _DEPARTMENT | {"b2chat_code": "soporte-tecnico", "name": "Soporte Técnico"},
    _DEPARTMENT | {"b2chat_code": "ventas", "name": "Ventas"},
]
