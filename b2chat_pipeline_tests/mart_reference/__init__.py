"""The rows of each mart, computed by plain Python from the core tables: slow, and written from the definitions.

`account.py` reads the chats and says what each one tells; one module per theme adds them up, a function per mart.
"""

from b2chat_pipeline_tests.mart_reference import (
    agents,
    contacts,
    conversations,
    costs,
    durations,
    labels,
    loads,
    masked,
    promises,
    scores,
    volume,
)
from b2chat_pipeline_tests.mart_reference.account import Account, read_account, table_rows
from b2chat_pipeline_tests.mart_reference.figures import REFERENCES

__all__ = [
    "REFERENCES",
    "Account",
    "agents",
    "contacts",
    "conversations",
    "costs",
    "durations",
    "labels",
    "loads",
    "masked",
    "promises",
    "read_account",
    "scores",
    "table_rows",
    "volume",
]
