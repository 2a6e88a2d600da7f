"""How far models agree with people, computed from the definitions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from b2chat_pipeline_tests.mart_reference.account import Account, Row
from b2chat_pipeline_tests.mart_reference.figures import grouped, mart, mean

_JUDGE = ("model", "prompt_version", "rubric_version")
_FEWEST = 10


def weighted_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Cohen's kappa of 1968 with squared weights, from the table of observed and that of expected shares."""
    n = len(pairs)
    observed, ones, others = Counter(pairs), Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    expected = sum((one - other) ** 2 * ones[one] * others[other] / n**2 for one, other in product(ones, others))
    return (
        1 - sum((one - other) ** 2 * count / n for (one, other), count in observed.items()) / expected
        if n and expected
        else None
    )


@mart
def label_pairs(account: Account) -> Iterator[Row]:
    chats = {chat.id: chat for chat in account.chats}
    # In order of time, so the newest one stays; of labels at one instant the first by name.
    in_order = sorted(account.tables["analysis_labels"], key=lambda it: it["labeller"], reverse=True)
    labels = {(it["chat_id"], it["rubric_version"]): it for it in sorted(in_order, key=lambda it: it["labelled_at"])}
    scorings = [*account.scorings, *account.tables["analysis_trials"]]
    newest = {
        (it["chat_id"], *(it["analysis_data"].get(name) for name in _JUDGE)): it
        for it in sorted(scorings, key=lambda it: (it["created_at"], it["id"]))
    }
    for (chat_id, *judge), scoring in newest.items():
        label, told = labels.get((chat_id, judge[-1])), scoring["analysis_data"]
        if label is None or chat_id not in chats:
            continue
        language = told["language"]
        yield dict(zip(_JUDGE, judge, strict=True)) | {
            "chat_id": chat_id,
            "label_levels": label["levels"],
            "score_levels": _levels(told),
            "label_resolution": label["resolution"],
            "score_resolution": scoring["resolution_score"],
            "label_effectiveness": label["effectiveness"],
            "score_effectiveness": None if told["satisfaction_basis"] == "none" else scoring["effectiveness_score"],
            "language": label["language"] or (language and language.lower()),
            "department_id": chats[chat_id].department_id,
            "messages": told["analyzed_messages"],
        }


def _levels(told: Row) -> dict[str, int]:
    criteria = told["resolution_details"] | told["sentiment_analysis"]["criteria"]
    levels = {name: it["level"] for name, it in criteria.items() if it["level"] is not None}
    return {name: level for name, level in levels.items() if name not in told["voided_criteria"]}


@mart
def label_agreement(account: Account) -> Iterator[Row]:
    judged = [
        (tuple(pair[name] for name in _JUDGE), criterion, pair["score_levels"].get(criterion), level)
        for pair in label_pairs(account)
        for criterion, level in pair["label_levels"].items()
    ]
    for (judge, criterion), rows in grouped(judged, lambda it: it[:2]).items():
        levels = [(score, label) for _, _, score, label in rows if score is not None]
        enough = levels if len(levels) >= _FEWEST else []
        yield dict(zip(_JUDGE, judge, strict=True)) | {
            "criterion": criterion,
            "labelled": len(rows),
            "compared": len(levels),
            "weighted_kappa": weighted_kappa(enough),
            **_errors([score - label for score, label in enough]),
            "exact_share": mean([score == label for score, label in enough]),
        }


@mart
def label_errors(account: Account) -> Iterator[Row]:
    def cuts(pair: Row) -> Iterator[tuple[Any, ...]]:
        length = "below 10 messages" if pair["messages"] < 10 else "10 to 29 messages"
        values = {
            "account": None,
            "language": pair["language"],
            "department": pair["department_id"],
            "length": length if pair["messages"] < 30 else "30 messages and more",
        }
        for score, (dimension, value) in product(("resolution", "effectiveness"), values.items()):
            ours, theirs = pair[f"score_{score}"], pair[f"label_{score}"]
            if ours is not None and theirs is not None:
                yield (*(pair[name] for name in _JUDGE), score, dimension, value), ours - theirs

    found = [cut for pair in label_pairs(account) for cut in cuts(pair)]
    for key, rows in grouped(found, lambda it: it[0]).items():
        errors = [error for _, error in rows]
        yield dict(zip((*_JUDGE, "score", "dimension", "value"), key, strict=True)) | {
            "compared": len(errors),
            **_errors(errors if len(errors) >= _FEWEST else []),
        }


def _errors(errors: Sequence[float]) -> Row:
    return {"mean_error": mean(errors), "mean_absolute_error": mean([abs(error) for error in errors])}
