"""Launches runs as the UI does, over the webserver's GraphQL, and waits for them."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


class Webserver:
    """The webserver at an address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, job: str, tags: Mapping[str, str], *, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Launch a run of a job and return how it ended; `meanwhile` is done again and again."""
        run_id = self.launch(job, tags)
        while (status := self.status(run_id)) not in _ENDED:
            meanwhile()
            time.sleep(0.5)
        return status

    def launch(self, job: str, tags: Mapping[str, str]) -> str:
        """Launch a run of a job; its id."""
        selector = {
            "repositoryLocationName": "b2chat_pipeline",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        told = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"selector": selector, "executionMetadata": {"tags": told}}
        launched = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if "run" not in launched:
            raise RuntimeError(f"{job} was not launched: {launched}")
        return str(launched["run"]["runId"])

    def status(self, run_id: str) -> str:
        """How a run is."""
        return str(self._ask(_STATUS, {"id": run_id})["runOrError"]["status"])

    def _ask(self, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
        asked = {"query": query, "variables": variables}
        answer = httpx.post(f"{self._address}/graphql", json=asked, timeout=60).raise_for_status().json()
        if answer.get("errors"):
            raise RuntimeError(f"the webserver answered with {answer['errors']}")
        data: dict[str, Any] = answer["data"]
        return data
