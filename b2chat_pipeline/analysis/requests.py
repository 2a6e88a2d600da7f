"""What is sent for one conversation, and the key under which its score is known ever after.

Not here: what is taken out of the texts (`redaction.py`), the words (`prompts.py`, `rubric.py`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from b2chat_pipeline.analysis.eligibility import Candidate
from b2chat_pipeline.analysis.prompts import Judge, prompt_of
from b2chat_pipeline.analysis.redaction import REDACTION_VERSION
from b2chat_pipeline.analysis.rubric import RUBRIC_VERSION, SCHEMA, SCHEMA_VERSION
from b2chat_pipeline.analysis.terms import Price, Usage, cost
from b2chat_pipeline.analysis.transcript import Transcript

# An answer takes about 500 tokens. One that was cut is asked for again with twice the room.
MOST_OUTPUT = 2048
# No writing takes more tokens than one for two bytes; texts of these languages take half of that.
_BYTES_PER_TOKEN = 2
_FIXED_BYTES = len(json.dumps(SCHEMA)) + 1000


@dataclass(frozen=True)
class Prepared:
    """A chat ready to be judged: what leaves, and what it will be known by."""

    candidate: Candidate
    # As it is sent, without personal data: the quotes of an answer are held against this one.
    transcript: Transcript = field(repr=False)
    key: bytes
    judge: Judge

    @property
    def chat_id(self) -> str:
        """The chat."""
        return self.candidate.chat_id

    def params(self, attempt: int) -> Mapping[str, Any]:
        """The body of the request; `attempt` counts from 1."""
        return params(self.judge, self.transcript, attempt)

    def most(self, price: Price, attempt: int, *, in_batch: bool) -> Decimal:
        """The most that the request can cost, in dollars."""
        return cost(price, Usage(self.input_tokens, most_output(attempt)), in_batch=in_batch)

    @property
    def input_tokens(self) -> int:
        """The most tokens that can be read for it."""
        said = prompt_of(self.judge.prompt_version).text + self.transcript.block()
        return (_FIXED_BYTES + len(said.encode())) // _BYTES_PER_TOKEN


def params(judge: Judge, transcript: Transcript, attempt: int) -> Mapping[str, Any]:
    """The body of a request about a transcript without personal data. There are no tools an order could reach."""
    return {
        "model": judge.model,
        "max_tokens": most_output(attempt),
        "system": prompt_of(judge.prompt_version).text,
        "messages": [{"role": "user", "content": [{"type": "text", "text": transcript.block()}]}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


def most_output(attempt: int) -> int:
    """How many tokens an answer may have."""
    return MOST_OUTPUT * attempt


def score_key(chat_id: str, judge: Judge, transcript: Transcript) -> bytes:
    """What a chat's score is known by: a hash over what was written in it, the model, and all it is asked by."""
    versions = (
        *(chat_id, judge.model, judge.prompt_version, RUBRIC_VERSION, SCHEMA_VERSION, REDACTION_VERSION),
        transcript.digest(),
    )
    return hashlib.sha256(json.dumps(versions).encode()).digest()
