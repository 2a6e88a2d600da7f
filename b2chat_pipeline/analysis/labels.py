"""Keeps what people judged of conversations, which scores are compared with.

Here belong the rows of `ops.analysis_labels`. Not here: the file they come in (`label_file.py`), comparing (the models
`label_agreement` and `label_errors`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.types.json import Jsonb

from b2chat_pipeline.analysis.label_file import Label
from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION
from b2chat_pipeline.analysis.scores import level_scores

_CHATS = "select b2chat_id, id from chats where b2chat_id = any(%s) and not is_deleted"
_STORED = """
    select chat_id, labeller, labelled_at
      from ops.analysis_labels
     where chat_id = any(%s) and rubric_version = %s
       for update
"""
_WRITE = """
    insert into ops.analysis_labels as stored (chat_id, labeller, rubric_version, labelled_at, language, levels,
                                               resolution, satisfaction, effectiveness, user_id, imported_at)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (chat_id, labeller, rubric_version) do update
       set labelled_at = excluded.labelled_at, language = excluded.language, levels = excluded.levels,
           resolution = excluded.resolution, satisfaction = excluded.satisfaction,
           effectiveness = excluded.effectiveness, user_id = excluded.user_id, imported_at = excluded.imported_at
     where (stored.labelled_at, stored.language, stored.levels)
           is distinct from (excluded.labelled_at, excluded.language, excluded.levels)
"""


@dataclass
class Imported:
    """What became of the labels of a file."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    # A newer one of the same labeller is stored.
    older: int = 0
    # Lines of the file that name chats which are not loaded.
    unknown_lines: Sequence[int] = ()


def import_labels(connection: Connection, labels: Sequence[Label], user_id: str, now: datetime) -> Imported:
    """Keep some labels, all or none; of several by one labeller of one chat, the newest stays."""
    with connection.transaction():
        chat_ids: dict[str, str] = dict(connection.execute(_CHATS, ([it.b2chat_id for it in labels],)).fetchall())
        known = [(chat_ids[it.b2chat_id], it) for it in labels if it.b2chat_id in chat_ids]
        imported = Imported(unknown_lines=[it.line for it in labels if it.b2chat_id not in chat_ids])
        stored = {
            (chat_id, labeller): labelled_at
            for chat_id, labeller, labelled_at in connection.execute(_STORED, (list(chat_ids.values()), RUBRIC_VERSION))
        }
        for chat_id, label in sorted(known, key=lambda each: (each[0], each[1].labeller)):
            before = stored.get((chat_id, label.labeller))
            if before is not None and before > label.labelled_at:
                imported.older += 1
                continue
            written = connection.execute(_WRITE, _row(chat_id, label, user_id, now)).rowcount
            imported.new += before is None
            imported.changed += before is not None and written
            imported.unchanged += not written
    return imported


def _row(chat_id: str, label: Label, user_id: str, now: datetime) -> tuple[object, ...]:
    scored = level_scores(label.levels)
    return (
        *(chat_id, label.labeller, RUBRIC_VERSION, label.labelled_at, label.language, Jsonb(label.levels)),
        *(scored.resolution, scored.satisfaction, scored.effectiveness, user_id, now),
    )
