"""The one model there is, as the models endpoint describes it. It is none, and says so."""

from typing import Any

NAME = "simulated-judge"
MAX_INPUT_TOKENS = 200_000
MAX_TOKENS = 64_000


def model_info() -> dict[str, Any]:
    """The judge, in the shape of a model: structured outputs and batches, nothing else."""
    no, yes = {"supported": False}, {"supported": True}
    return {
        "type": "model",
        "id": NAME,
        "display_name": "Simulated judge (a set of rules, not a model)",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": MAX_INPUT_TOKENS,
        "max_tokens": MAX_TOKENS,
        "capabilities": {
            "batch": yes,
            "citations": no,
            "code_execution": no,
            "context_management": no,
            "effort": {"supported": False, "low": no, "medium": no, "high": no, "max": no, "xhigh": no},
            "image_input": no,
            "pdf_input": no,
            "server_tools": {"supported": False, "code_execution": no, "web_search": no},
            "structured_outputs": yes,
            "thinking": {
                "supported": False,
                "types": {"adaptive": no, "between_tools": no, "disabled": yes, "enabled": no},
            },
        },
    }
