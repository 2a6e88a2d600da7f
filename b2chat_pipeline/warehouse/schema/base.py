"""What all tables share: the declarative base, the mapping from Python types to column types, common defaults.

No table belongs here.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import ARRAY, DateTime, Double, Integer, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import BYTEA, ENUM, JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

JsonBinary = Annotated[object, mapped_column(JSONB)]
JsonText = Annotated[object, mapped_column(JSON)]
TextArray = Annotated[list[str], mapped_column(ARRAY(Text))]

NOW = func.now()
FALSE = text("false")
TRUE = text("true")
ZERO = text("0")
ONE = text("1")
EMPTY_ARRAY = text("'{}'")

# The names PostgreSQL itself would choose, so that a name is the same whoever made the object.
_NAMES = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


class Base(DeclarativeBase):
    """Declarative base of every table."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: Integer,
        float: Double,
        bytes: BYTEA,
        datetime: DateTime(timezone=True),
    }


user_role = ENUM("Manager", "Admin", name="user_role", metadata=Base.metadata)
chat_provider = ENUM(
    "whatsapp",
    "facebook",
    "telegram",
    "livechat",
    "b2cbotapi",
    "instagram",
    "other",
    name="chat_provider",
    metadata=Base.metadata,
)
chat_status = ENUM("open", "closed", "pending", "unknown", name="chat_status", metadata=Base.metadata)
chat_priority = ENUM("urgent", "high", "normal", "low", name="chat_priority", metadata=Base.metadata)
message_type = ENUM("text", "image", "file", name="message_type", metadata=Base.metadata)
