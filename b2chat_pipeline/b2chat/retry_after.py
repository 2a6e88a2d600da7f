"""Reading the `Retry-After` header in every form it comes in. Not here: what is done about it (`client.py`)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Nine digits are 31 years; more is no answer anybody meant, and would overflow a date.
_SECONDS = re.compile(r"[0-9]{1,9}")


def moment_to_retry(header: str | None, *, now: datetime) -> datetime | None:
    """The moment (UTC) from which the source accepts requests again, never before `now`.

    Understands seconds and the three HTTP date forms; None where the header is absent or means nothing.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return now + timedelta(seconds=int(text))
    moment = _http_date(text)
    return None if moment is None else max(moment, now)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone is read as UTC: HTTP dates have no other.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
