"""Every table, as SQLAlchemy models: the one description that migrations and documentation are derived from.

`public` holds the tables of the data dictionary, `ops` what the pipeline needs to do its work. What is built from these
tables for analysts lives in the schema `analytics` and is described elsewhere.
"""

from b2chat_pipeline.warehouse.schema.analysis import (
    AnalysisBatch,
    AnalysisBatchItem,
    AnalysisCall,
    AnalysisDay,
    AnalysisOutcome,
)
from b2chat_pipeline.warehouse.schema.application import (
    AuditLog,
    EffectivenessAnalysis,
    ErrorLog,
    ExportLog,
    Notification,
    SystemSetting,
)
from b2chat_pipeline.warehouse.schema.base import Base
from b2chat_pipeline.warehouse.schema.business import (
    BusinessHours,
    Calendar,
    ConfigVersion,
    DepartmentCalendar,
    Holiday,
    SlaPolicy,
)
from b2chat_pipeline.warehouse.schema.conversations import Chat, Message
from b2chat_pipeline.warehouse.schema.incidents import IncidentTold, OutboxNotice
from b2chat_pipeline.warehouse.schema.labels import AnalysisLabel, AnalysisPromotion, AnalysisTrial
from b2chat_pipeline.warehouse.schema.operations import (
    ChatAbsence,
    ChatChange,
    ContractDrift,
    HourLoad,
    LedgerEntry,
    MessageListTold,
    QuarantinedRecord,
    RequestBudget,
    WindowRead,
)
from b2chat_pipeline.warehouse.schema.people import Agent, Contact, Department, User
from b2chat_pipeline.warehouse.schema.synchronization import ApiResponseLog, SyncCheckpoint, SyncLog, SyncState

__all__ = [
    "Agent",
    "AnalysisBatch",
    "AnalysisBatchItem",
    "AnalysisCall",
    "AnalysisDay",
    "AnalysisLabel",
    "AnalysisOutcome",
    "AnalysisPromotion",
    "AnalysisTrial",
    "ApiResponseLog",
    "AuditLog",
    "Base",
    "BusinessHours",
    "Calendar",
    "Chat",
    "ChatAbsence",
    "ChatChange",
    "ConfigVersion",
    "Contact",
    "ContractDrift",
    "Department",
    "DepartmentCalendar",
    "EffectivenessAnalysis",
    "ErrorLog",
    "ExportLog",
    "Holiday",
    "HourLoad",
    "IncidentTold",
    "LedgerEntry",
    "Message",
    "MessageListTold",
    "Notification",
    "OutboxNotice",
    "QuarantinedRecord",
    "RequestBudget",
    "SlaPolicy",
    "SyncCheckpoint",
    "SyncLog",
    "SyncState",
    "SystemSetting",
    "User",
    "WindowRead",
]
