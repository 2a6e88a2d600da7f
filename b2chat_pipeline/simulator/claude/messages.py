"""What is asked of the judge, and its answer as a message.

Belongs here: which parameters are taken, tokens, stop reasons, and what faults do to an answer. Not here: the judgement
(`judge`), paths and keys (`api`).
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from b2chat_pipeline.simulator.claude.judge import judgement_of
from b2chat_pipeline.simulator.claude.models import MAX_INPUT_TOKENS, MAX_TOKENS, NAME
from b2chat_pipeline.simulator.claude.schema import check_output_config
from b2chat_pipeline.simulator.claude.transcript import Transcript, read_transcript
from b2chat_pipeline.simulator.claude.wire import Refused, new_id
from b2chat_pipeline.simulator.faults import Fault, first_of

Record = dict[str, Any]
Tier = Literal["standard", "batch"]

_COUNTED = {
    *("model", "messages", "system", "output_config", "cache_control", "speed", "thinking", "tool_choice", "tools"),
    "user_profile_id",
}
_TAKEN = _COUNTED | {
    *(
        "max_tokens",
        "container",
        "diagnostics",
        "inference_geo",
        "metadata",
        "service_tier",
        "stop_sequences",
        "stream",
    ),
}
_BYTES_PER_TOKEN = 4
_NO_TRANSCRIPT = "I am a set of rules that judges transcripts of conversations; there is none in this request."


def count_tokens(params: Record) -> int:
    """The tokens of a request, which `usage` of its answer will say too. Refused as the message would be."""
    _check(params, _COUNTED)
    return _input_tokens(params)


def answer_message(params: Record, due: tuple[Fault, ...], tier: Tier) -> Record:
    """The judge's answer to the parameters of a message, spoiled by the due faults. Refused if they do not fit."""
    _check(params, _TAKEN)
    _check_length(params)
    allowed = params["max_tokens"]
    transcript = _transcript(params)
    text = _NO_TRANSCRIPT if transcript is None else _judgement_text(transcript, due)
    stop_reason, stop_details = "end_turn", None
    if first_of(due, "truncated"):
        allowed = min(allowed, _tokens(text) // 2)
    if first_of(due, "refusal"):
        text, stop_reason = "", "refusal"
        stop_details = {"type": "refusal", "category": None, "explanation": None}
    elif _tokens(text) > allowed:
        text, stop_reason = _cut(text, allowed), "max_tokens"
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": NAME,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": stop_details,
        "usage": {
            "input_tokens": _input_tokens(params),
            # The real service bills an empty answer too.
            "output_tokens": max(1, _tokens(text)),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "service_tier": tier,
        },
    }


def _check(params: Record, taken: set[str]) -> None:
    if unknown := sorted(params.keys() - taken):
        raise Refused(400, f"{unknown[0]}: Extra inputs are not permitted")
    if missing := sorted({"model", "messages"} - params.keys()):
        raise Refused(400, f"{missing[0]}: Field required")
    if params["model"] != NAME:
        raise Refused(404, f"model: {params['model']}")
    _check_messages(params["messages"])
    check_output_config(params.get("output_config"))


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: at least one message is required")
    for at, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in {"user", "assistant", "system"}:
            raise Refused(400, f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'")
        if not message.get("content"):
            raise Refused(400, f"messages.{at}: user messages must have non-empty content")
    if messages[0]["role"] != "user":
        raise Refused(400, "messages: first message must use the 'user' role")


def _check_length(params: Record) -> None:
    allowed, asked = params.get("max_tokens"), _input_tokens(params)
    if not isinstance(allowed, int) or isinstance(allowed, bool) or allowed < 1:
        raise Refused(400, "max_tokens: Field required, greater than or equal to 1")
    if allowed > MAX_TOKENS:
        raise Refused(400, f"max_tokens: {allowed} > {MAX_TOKENS}, the maximum number of output tokens of {NAME}")
    if asked > MAX_INPUT_TOKENS:
        raise Refused(400, f"prompt is too long: {asked} tokens > {MAX_INPUT_TOKENS} maximum")
    if params.get("stream"):
        raise Refused(400, "stream: the simulator answers whole messages only")


def _input_tokens(params: Record) -> int:
    read = {name: params[name] for name in ("system", "messages", "output_config", "tools") if name in params}
    return _tokens(msgspec.json.encode(read).decode())


def _tokens(text: str) -> int:
    """A token for every four bytes, begun ones counted: near enough to be billed by, and the same everywhere."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def _cut(text: str, tokens: int) -> str:
    return text.encode()[: tokens * _BYTES_PER_TOKEN].decode(errors="ignore")


def _transcript(params: Record) -> Transcript | None:
    """The transcript that the last message holds as its one text."""
    content = params["messages"][-1]["content"]
    if isinstance(content, list):
        texts = [block.get("text") for block in content if isinstance(block, Mapping)]
        content = texts[0] if len(texts) == 1 else None
    return read_transcript(content) if isinstance(content, str) else None


def _judgement_text(transcript: Transcript, due: tuple[Fault, ...]) -> str:
    judgement = judgement_of(transcript)
    for fault in due:
        _spoil(judgement, fault)
    text = msgspec.json.encode(judgement).decode()
    return f"{text[:-1]},]" if first_of(due, "broken_json") else text


def _spoil(judgement: Record, fault: Fault) -> None:
    """Do to a judgement, in place, what a fault says."""
    criteria = judgement["criteria"]
    first = next(iter(criteria))
    if fault.kind == "wrong_quote":
        criteria[first].update(level=50, evidence=[{"message": 1, "quote": "words that nobody wrote in this chat"}])
    elif fault.kind == "out_of_range":
        criteria[first]["level"] = 140 if fault.value is None else fault.value
    elif fault.kind == "missing_criterion":
        del criteria[first]
    elif fault.kind == "extra_field":
        judgement["confidence"] = 0.99
