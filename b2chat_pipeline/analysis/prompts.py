"""The prompts that conversations can be judged by: one file each in `prompt_texts/`, of which one is active.

To try another, copy the newest file to the next number and change it; `{rubric}` stands where the rubric goes, which is
the same for all. Not here: the rubric (`rubric.py`), which prompt is active (`terms.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from b2chat_pipeline.analysis.rubric import RUBRIC, version
from b2chat_pipeline.settings import OperatorError

FOLDER = Path(__file__).with_name("prompt_texts")
_PLACE = "{rubric}"


class PromptError(OperatorError):
    """A prompt is missing, or cannot be used."""


@dataclass(frozen=True)
class Prompt:
    """What a model is told before it reads a conversation; its version is made of the number and the text."""

    version: str
    text: str


@dataclass(frozen=True)
class Judge:
    """Who judges: a model, asked by a version of the prompt."""

    model: str
    prompt_version: str

    def __str__(self) -> str:
        return f"{self.model} by prompt {self.prompt_version}"


@cache
def prompts(folder: Path = FOLDER) -> Mapping[str, Prompt]:
    """All prompts by version, the oldest first. Raises PromptError."""
    files = sorted((int(file.stem), file) for file in folder.glob("*.txt") if file.stem.isdecimal())
    return {prompt.version: prompt for prompt in (_read(number, file) for number, file in files)}


def first_version() -> str:
    """The version that judges as long as no other was promoted."""
    return next(iter(prompts()))


def prompt_of(name: str) -> Prompt:
    """The prompt of a version, or of its number alone. Raises PromptError."""
    for prompt in prompts().values():
        if name in {prompt.version, prompt.version.partition(".")[0]}:
            return prompt
    raise PromptError(
        f"there is no prompt {name!r}: see `b2chat prompt list`. One that judged once is needed as it was: put its file"
        " back into analysis/prompt_texts, unchanged."
    )


def _read(number: int, file: Path) -> Prompt:
    text = file.read_text(encoding="utf-8")
    if text.count(_PLACE) != 1:
        raise PromptError(f"the prompt {file.name} needs {_PLACE} once, where the rubric goes: write it there.")
    whole = text.replace(_PLACE, RUBRIC)
    return Prompt(version(number, whole), whole)
