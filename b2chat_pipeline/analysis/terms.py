"""What is agreed about scoring: the model, what its tokens cost, how much may be spent.

Here belong the terms themselves, as `b2chat config apply` keeps them, and what usage costs by them. Not here: what was
spent (`ledger.py`). All money is US dollars, exact.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_UP, Decimal

import msgspec
from psycopg import Connection

from b2chat_pipeline.analysis.prompts import Judge, first_version
from b2chat_pipeline.settings import OperatorError

KIND = "scoring"
_PER_TOKENS = Decimal(1_000_000)
_SMALLEST = Decimal("0.00000001")


class TermsMissingError(OperatorError):
    """Nothing is configured about scoring."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars for a million tokens of one model; `batch` is the part of that which a batch pays."""

    input: Decimal
    output: Decimal
    batch: Decimal = Decimal("0.5")


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars that may be spent on one day and in one month of the account."""

    day: Decimal
    month: Decimal


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What scoring is agreed to be; `model` judges until another judge is promoted."""

    model: str
    prices: Mapping[str, Price]
    caps: Caps

    def price_of(self, model: str) -> Price:
        """What a model costs. Raises TermsMissingError."""
        if model not in self.prices:
            raise TermsMissingError(
                f"there is no price for the model {model!r}: add it below `scoring.prices` of the configuration and run"
                " `b2chat config apply`."
            )
        return self.prices[model]


class Usage(msgspec.Struct, frozen=True):
    """Tokens that the service says it counted; whatever else it says stays in the stored answer."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None

    @property
    def all_input(self) -> int:
        """Everything that was read. Nothing is ever asked to be cached, so what is, counts as if it were not."""
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


class DatedTerms(msgspec.Struct, frozen=True):
    """Terms with the version that a call is booked by, and the judge that is active."""

    version: int
    terms: Terms
    judge: Judge


def problem(terms: Terms) -> tuple[str, str] | None:
    """What is wrong with terms, and where in the file; None where nothing is."""
    if terms.model not in terms.prices:
        return "model", f"There is no price for the model {terms.model!r}"
    for model, price in terms.prices.items():
        if min(price.input, price.output) < 0 or not 0 < price.batch <= 1:
            return f"prices.{model}", "A price is not below 0, and `batch` above 0 and at most 1"
    if not 0 <= terms.caps.day <= terms.caps.month:
        return "caps", "A cap is not below 0, and that of the day not above that of the month"
    return None


def read_terms(connection: Connection, now: datetime) -> DatedTerms:
    """The terms that hold, and the judge that was promoted last. Raises TermsMissingError."""
    row = connection.execute(
        "select version, content from ops.config_versions where kind = %s and replaced_at is null"
        " and tstzrange(valid_from, valid_to) @> %s::timestamptz",
        (KIND, now),
    ).fetchone()
    if row is None:
        raise TermsMissingError(
            "nothing is configured about scoring: add the part `scoring` of config.example.yaml to the file that"
            " B2CHAT_CONFIG names, with your prices and caps, and run `b2chat config apply`."
        )
    terms = msgspec.convert(row[1], type=Terms, strict=False)
    judge = active_judge(connection, terms)
    terms.price_of(judge.model)
    return DatedTerms(row[0], terms, judge)


def active_judge(connection: Connection, terms: Terms) -> Judge:
    """Who judges: whoever was promoted last; nobody yet, then the configured model by the first prompt."""
    promoted = connection.execute(
        "select model, prompt_version from ops.analysis_promotions order by promoted_at desc, id desc limit 1"
    ).fetchone()
    return Judge(terms.model, first_version()) if promoted is None else Judge(*promoted)


def read_terms_of(connection: Connection, version: int) -> Terms:
    """The terms of a version that held once: what was booked by them is settled by them."""
    row = connection.execute(
        "select content from ops.config_versions where kind = %s and version = %s", (KIND, version)
    ).fetchone()
    if row is None:
        raise TermsMissingError(
            f"version {version} of the terms of scoring is gone from ops.config_versions: restore that row from a"
            " backup, then run this again."
        )
    return msgspec.convert(row[0], type=Terms, strict=False)


def cost(price: Price, usage: Usage, *, in_batch: bool) -> Decimal:
    """What tokens cost, rounded up to a millionth of a cent."""
    whole = (price.input * usage.all_input + price.output * usage.output_tokens) / _PER_TOKENS
    return (whole * (price.batch if in_batch else 1)).quantize(_SMALLEST, rounding=ROUND_UP)
