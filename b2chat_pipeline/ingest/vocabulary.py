"""The API's open vocabularies, mapped to the data dictionary's enums.

The raw value is always stored beside the mapped one. A value nobody has seen yet maps to `unknown`, `other` or `file`
and is never coerced into a known one: the chat loads, and the raw value says what came.
"""

_STATUS = {
    "BOT_CHATTING": "pending",
    "OPENED": "pending",
    "PICKED_UP": "open",
    "RESPONDED_BY_AGENT": "open",
    "CLOSED": "closed",
    "COMPLETING_POLL": "closed",
    "COMPLETED_POLL": "closed",
    "ABANDONED_POLL": "closed",
    "CLOSED_BY_CONTACT": "closed",
    "LEFT_BY_CONTACT": "closed",
}
_PROVIDER = {
    "FACEBOOK": "facebook",
    "TELEGRAM": "telegram",
    "LIVECHAT": "livechat",
    "B2CBOTAPI": "b2cbotapi",
    "INSTAGRAM": "instagram",
}
_MESSAGE_TYPE = {"TEXT": "text", "IMAGE": "image", "STICKER": "image"}

# Known to the source, although the tables call them `file`; and what it tells where it does not know the channel.
_OTHER_TYPES = {"FILE", "AUDIO", "VIDEO"}
_NO_PROVIDER = "UNKNOWN"


def is_known(path: str, raw: str) -> bool:
    """Whether a value of `$.status`, `$.provider` or `$.messages[].type` has been seen of this API before."""
    value = raw.strip().upper()
    if path == "$.status":
        return value in _STATUS
    if path == "$.provider":
        return value in _PROVIDER or value == _NO_PROVIDER or value.startswith("WHATSAPP")
    return value in _MESSAGE_TYPE or value in _OTHER_TYPES


def chat_status(raw: str | None) -> str:
    """open, closed, pending, or unknown."""
    return _STATUS.get((raw or "").strip().upper(), "unknown")


def chat_provider(raw: str | None) -> str:
    """The channel's family; every WHATSAPP* is whatsapp, what is not known is other."""
    value = (raw or "").strip().upper()
    return "whatsapp" if value.startswith("WHATSAPP") else _PROVIDER.get(value, "other")


def message_type(raw: str) -> str:
    """text, image, or file for everything else (audio, video, documents, places, contact cards)."""
    return _MESSAGE_TYPE.get(raw) or _MESSAGE_TYPE.get(raw.strip().upper(), "file")
