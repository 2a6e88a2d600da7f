"""Makes a judge on trial the active one, where it does not lose; and tells how all judges stand.

Not here: the rule (`comparing.py`), which judge is active (`terms.py`), having labelled chats scored (`direct.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import Connection, errors
from psycopg.types.json import Jsonb

from b2chat_pipeline.analysis.comparing import Comparison, Judged, compare, objection
from b2chat_pipeline.analysis.prompts import Judge, prompt_of
from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION
from b2chat_pipeline.analysis.terms import DatedTerms
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.identifiers import new_id

_PAIRS = """
    select chat_id, model, prompt_version, label_levels, score_levels
      from analytics.label_pairs
     where rubric_version = %s
     order by chat_id
"""
_STANDINGS = """
    select model, prompt_version, max(compared), avg(weighted_kappa), avg(mean_absolute_error)
      from analytics.label_agreement
     where rubric_version = %s
     group by model, prompt_version
     order by model, prompt_version
"""
_PROMOTE = """
    insert into ops.analysis_promotions (id, model, prompt_version, evidence, user_id, promoted_at)
    values (%s, %s, %s, %s, %s, %s)
"""
# Its scores are reported from now on, also those that it was tried by: no key is ever paid twice.
_REPORT = """
    with tried as (
        delete from ops.analysis_trials
         where analysis_data ->> 'model' = %(model)s and analysis_data ->> 'prompt_version' = %(prompt)s
        returning id, chat_id, user_id, effectiveness_score, response_time_score, resolution_score,
                  customer_satisfaction, analysis_data, created_at
    )
    insert into effectiveness_analysis (id, chat_id, user_id, effectiveness_score, response_time_score,
                                        resolution_score, customer_satisfaction, analysis_data, created_at)
    select * from tried
"""


class NotPromotedError(OperatorError):
    """A judge stays on trial."""


class LabelModelsMissingError(OperatorError):
    """The views of labels were never built."""


@dataclass(frozen=True)
class Standing:
    """How far a judge agrees with people: means over the criteria with ten chats and more; None below."""

    judge: Judge
    chats: int
    kappa: float | None
    error: float | None


def standings(connection: Connection) -> list[Standing]:
    """How all judges of labelled chats stand. Raises LabelModelsMissingError."""
    rows = _rows(connection, _STANDINGS)
    return [Standing(Judge(model, prompt_version), *figures) for model, prompt_version, *figures in rows]


def promote(connection: Connection, judge: Judge, terms: DatedTerms, user_id: str, now: datetime) -> Comparison:
    """Make a judge the active one, and its scores reported ones. Hold `scoring_alone` meanwhile.

    Raises NotPromotedError, PromptError, TermsMissingError and LabelModelsMissingError.
    """
    prompt_of(judge.prompt_version)
    terms.terms.price_of(judge.model)
    if judge == terms.judge:
        raise NotPromotedError(f"{judge} is active already: name another by its version, see `b2chat prompt list`.")
    found = _compare(connection, terms.judge, judge)
    refused = objection(found)
    if refused is not None:
        raise NotPromotedError(f"{judge} was not promoted: {refused}.")
    evidence = {"before": asdict(terms.judge), **asdict(found)}
    with connection.transaction():
        connection.execute(_PROMOTE, (new_id(), judge.model, judge.prompt_version, Jsonb(evidence), user_id, now))
        connection.execute(_REPORT, {"model": judge.model, "prompt": judge.prompt_version})
    return found


def _compare(connection: Connection, active: Judge, trial: Judge) -> Comparison:
    """Both judges on the labelled chats that both have scored."""
    labels: dict[str, Mapping[str, int]] = {}
    levels: dict[Judge, dict[str, Mapping[str, int]]] = {active: {}, trial: {}}
    for chat_id, model, prompt_version, label, scored in _rows(connection, _PAIRS):
        labels[chat_id] = label
        levels.setdefault(Judge(model, prompt_version), {})[chat_id] = scored
    ours, theirs = levels[active], levels[trial]
    both = [Judged(labels[chat_id], ours[chat_id], theirs[chat_id]) for chat_id in ours if chat_id in theirs]
    return compare(both, missing=len(ours.keys() - theirs.keys()))


def _rows(connection: Connection, query: LiteralString) -> Sequence[tuple[Any, ...]]:
    try:
        return connection.execute(query, (RUBRIC_VERSION,)).fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        raise LabelModelsMissingError(
            "the views of labels are not there: run `b2chat build`, then this again."
        ) from None
