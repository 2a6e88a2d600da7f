"""One record of each kind as the API tells it, for the tests to change."""

from typing import Any

MESSAGE: dict[str, Any] = {
    "body": "Hola",
    "broadcasted": False,
    "caption": None,
    "created_at": "2025-03-03 09:12:09",
    "incoming": True,
    "location": None,
    "type": "TEXT",
}
CHAT: dict[str, Any] = {
    "agent": {"email": "marta@example.test", "name": "Marta Ruiz", "username": "mruiz"},
    "alias": "15550001111-Demo",
    "chat_id": "c1",
    "closed_at": "2025-03-05 16:40:10",
    "contact": {"id": 70000001, "name": "Ana Demo", "mobile_number": "+15550102030", "tags": None},
    "created_at": "2025-03-03 09:12:44",
    "department": "Ventas",
    "duration": "02:07:27:26",
    "is_agent_available": True,
    "messages": [MESSAGE, MESSAGE | {"body": "Gracias"}],
    "responded_at": "2025-03-03 09:21:05",
    "status": "CLOSED",
    "tags": [],
}
CONTACT: dict[str, Any] = {
    "contact_id": 70000001,
    "fullname": "Ana Demo",
    "merchant_id": None,
    "created": "2024-11-09 19:10:23",
    "updated": "2025-03-05 16:24:14",
    "custom_attributes": [{"name": "Segmento", "value": "Premium"}],
    "tags": [{"name": "VIP", "assigned_at": 1741000000}],
}
