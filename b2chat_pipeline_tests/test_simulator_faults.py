"""Each fault on demand does what it says, as often as it says, and then the simulator answers as before."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from b2chat_pipeline.simulator import (
    Fault,
    FaultBook,
    FaultKind,
    dropped_record,
    inserted_record,
    mutated_records,
    rewritten_body,
    vanished_record,
)
from b2chat_pipeline_tests.simulator_support import FIRST_DAY, all_chats, running

SERVING = """
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo
from b2chat_pipeline.simulator import Clock, World, serve

world = World(first_day=date(2025, 3, 3), zone=ZoneInfo("America/Bogota"))
clock = Clock(datetime(2025, 3, 12, tzinfo=UTC))
serve(world, clock=clock, on_ready=lambda simulator: print(simulator.url, flush=True))
"""


def page(client: httpx.Client, **params: object) -> dict[str, Any]:
    asked = {"limit": 10, "order_dir": "asc", **params}
    return dict(client.get("/chats/export", params={name: str(it) for name, it in asked.items()}).json())


def ids(answer: dict[str, Any]) -> list[str]:
    return [chat["chat_id"] for chat in answer["chats"]]


def test_a_fault_waits_for_its_turn_and_runs_out() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="status", status=502, after=1, times=2))

        statuses = [client.get("/chats/export", params={"limit": "1"}).status_code for _ in range(4)]

        assert statuses == [200, 502, 502, 200]
        assert simulator.faults.pending() == ()
        assert [it.status for it in simulator.requests[1:]] == statuses


def test_a_fault_hits_its_own_path_only() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="status", path="/contacts/export"))

        assert client.get("/chats/export").status_code == 200
        assert client.get("/contacts/export").status_code == 503


def test_a_fault_for_ever_lasts_until_it_is_cleared() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="status", path="*", times=None))
        broken = [client.get("/health").status_code for _ in range(3)]

        simulator.faults.clear()

        assert broken == [503] * 3
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("wait", ["2", "Wed, 12 Mar 2025 18:00:05 GMT", "soon"])
def test_a_refusal_carries_retry_after_in_any_form(wait: str) -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="status", status=429, headers={"Retry-After": wait}, body="slow down"))

        answer = client.get("/chats/export")

    assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (429, wait, "slow down")


def test_a_token_can_be_refused_once() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="unauthorized"))

        answers = [client.get("/chats/export") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [401, 200]
    assert answers[0].json()["error"] == "invalid_token"


@pytest.mark.parametrize(
    ("kind", "text"), [("html", "<!DOCTYPE html>"), ("error_message", '{"message":"error"}'), ("empty_body", "")]
)
def test_a_good_status_can_come_with_no_data(kind: FaultKind, text: str) -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind=kind))

        answer = client.get("/chats/export")

    assert answer.status_code == 200
    assert answer.text.startswith(text)
    assert "chats" not in answer.text


@pytest.mark.parametrize("kind", ["reset", "cut_body"])
def test_a_connection_can_break(kind: FaultKind) -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind=kind))

        with pytest.raises(httpx.TransportError):
            client.get("/chats/export")

        assert client.get("/chats/export").status_code == 200


def test_json_can_end_in_the_middle_of_a_complete_answer() -> None:
    with running() as (simulator, client):
        whole = client.get("/contacts/export").content
        simulator.faults.add(Fault(kind="cut_json", path="/contacts/export"))

        cut = client.get("/contacts/export").content

    assert cut == whole[: len(whole) // 2]


def test_gzip_can_be_broken() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="broken_gzip"))

        with pytest.raises(httpx.DecodingError):
            client.get("/chats/export")


def test_an_answer_can_be_late() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="hang", seconds=30))

        with pytest.raises(httpx.ReadTimeout):
            client.get("/chats/export", timeout=0.1)


def test_an_answer_can_drip() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="drip", path="/health", bytes_per_second=50))

        begun = time.monotonic()
        answer = client.get("/health")

    assert answer.json() == {"status": "UP"}
    assert time.monotonic() - begun > 0.2


def test_stopping_does_not_wait_for_a_hanging_answer() -> None:
    begun = time.monotonic()
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="hang", seconds=60))
        with pytest.raises(httpx.ReadTimeout):
            client.get("/chats/export", timeout=0.05)

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("lie", [0, 10**9, None, "many"])
def test_total_can_lie(lie: object) -> None:
    with running() as (simulator, client):
        honest = page(client)
        simulator.faults.add(Fault(kind="total", value=lie))

        lied = page(client)

    assert lied["total"] == lie
    assert ids(lied) == ids(honest)


def test_the_first_page_can_come_again_and_again() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="same_page", times=None))

        assert ids(page(client, offset=0)) == ids(page(client, offset=10)) == ids(page(client, offset=20))


def test_a_page_can_be_out_of_order() -> None:
    with running() as (simulator, client):
        ordered = ids(page(client))
        simulator.faults.add(Fault(kind="unordered"))

        assert ids(page(client)) == ordered[::-1]


def test_a_record_can_come_twice() -> None:
    with running() as (simulator, client):
        ordered = ids(page(client))
        simulator.faults.add(Fault(kind="duplicate_record", index=3))

        doubled = page(client)

    assert ids(doubled) == [*ordered[:4], ordered[3], *ordered[4:]]
    assert doubled["exported"] == 11


def test_a_record_dropped_while_paging_moves_the_others_towards_the_start() -> None:
    with running() as (simulator, client):
        whole = [chat["chat_id"] for chat in all_chats(client)]
        simulator.faults.add(dropped_record(index=4))

        first, second = page(client, offset=0), page(client, offset=10)

    assert ids(first) == whole[:10]
    assert ids(second) == whole[11:21]
    assert second["total"] == first["total"] - 1


def test_a_record_inserted_while_paging_moves_the_others_towards_the_end() -> None:
    with running() as (simulator, client):
        whole = [chat["chat_id"] for chat in all_chats(client)]
        simulator.faults.add(inserted_record(index=4))

        first, second = page(client, offset=0), page(client, offset=10)

    assert ids(first) == [*whole[:4], *whole[5:11]]
    assert ids(second) == whole[10:20]
    assert second["total"] == first["total"] + 1


def test_a_vanished_record_is_in_no_listing_and_in_no_total() -> None:
    with running() as (simulator, client):
        whole = page(client)
        simulator.faults.add(vanished_record(ids(whole)[2]))

        answers = [page(client), page(client, order_dir="desc", limit=1000)]

    assert all(ids(whole)[2] not in ids(answer) for answer in answers)
    assert [answer["exported"] for answer in answers] == [10, whole["total"] - 1]


def test_a_body_can_hold_what_no_encoder_writes() -> None:
    with running() as (simulator, client):
        simulator.faults.add(rewritten_body(lambda body: body.replace(b'"alias":"', rb'"alias":"\ud800', 1)))

        assert page(client)["chats"][0]["alias"][0] == "\ud800"


def test_records_can_be_changed_or_left_out() -> None:
    def drop_even(record: dict[str, Any]) -> dict[str, Any] | None:
        return None if int(record["chat_id"][0], 16) % 2 == 0 else {**record, "status": "NEVER_SEEN"}

    with running() as (simulator, client):
        simulator.faults.add(mutated_records(drop_even))

        changed = page(client)

    assert {chat["status"] for chat in changed["chats"]} == {"NEVER_SEEN"}
    assert changed["exported"] == len(changed["chats"]) < 10


@pytest.mark.parametrize("field", ["status", "invented_field"])
def test_a_field_can_have_any_value(field: str) -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="set_field", field=field, value={"an": "object"}, index=0))

        first, *others = page(client)["chats"]

    assert first[field] == {"an": "object"}
    assert all(chat.get(field) != {"an": "object"} for chat in others)


def test_a_field_of_one_record_can_be_changed_wherever_it_is_told() -> None:
    with running() as (simulator, client):
        chosen = page(client)["chats"][3]["chat_id"]
        simulator.faults.add(Fault(kind="set_field", field="alias", value=7, record_id=chosen, times=None))

        told = [*page(client)["chats"], *page(client, offset=2)["chats"]]

    assert [chat["chat_id"] for chat in told if chat["alias"] == 7] == [chosen, chosen]


def test_two_records_of_a_day_can_be_made_not_to_fit_over_http() -> None:
    with running() as (simulator, client):
        told = client.post("/_simulator/misfits", json={"day": FIRST_DAY.isoformat()})
        odd = [fault for fault in simulator.faults.pending() if fault.record_id]

    assert told.json() == {"faults": 2}
    assert [(fault.path, fault.field) for fault in odd] == [
        ("/chats/export", "duration"),
        ("/contacts/export", "email"),
    ]


def test_a_field_can_be_missing() -> None:
    with running() as (simulator, client):
        simulator.faults.add(Fault(kind="missing_field", field="created_at"))

        assert all("created_at" not in chat for chat in page(client)["chats"])


def test_faults_can_be_set_and_cleared_over_http() -> None:
    with running() as (simulator, client):
        told = client.post("/_simulator/faults", json=[{"kind": "status", "status": 500, "times": None}])
        broken = client.get("/chats/export").status_code
        client.delete("/_simulator/faults")

        assert told.json() == {"faults": 1}
        assert broken == 500
        assert client.get("/chats/export").status_code == 200
        assert simulator.requests[-1].path == "/chats/export"


@pytest.mark.parametrize(
    "told",
    [
        *({"kind": "earthquake"}, {"kind": "mutate"}, {"kind": "html", "colour": "red"}),
        *({"kind": "status", "status": "bad"}, {}, "html"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(told: object) -> None:
    with running() as (simulator, client):
        answer = client.post("/_simulator/faults", json=told)

        assert answer.status_code == 422
        assert simulator.faults.pending() == ()


def test_the_clock_can_be_set_and_advanced_over_http() -> None:
    with running() as (simulator, client):
        client.post("/_simulator/clock", json={"now": "2025-03-10T10:00:00-05:00"})
        answer = client.post("/_simulator/clock", json={"advance_seconds": 90})

        assert datetime.fromisoformat(answer.json()["now"]) == datetime(2025, 3, 10, 15, 1, 30, tzinfo=UTC)
        assert simulator.clock.now() == datetime(2025, 3, 10, 15, 1, 30, tzinfo=UTC)
        assert client.post("/_simulator/clock", json={"now": "2025-03-10T10:00:00"}).status_code == 422


def test_requests_and_world_can_be_looked_at_over_http() -> None:
    with running() as (_, client):
        page(client)

        requests = client.get("/_simulator/requests").json()
        world = client.get("/_simulator/world").json()

    assert [it["path"] for it in requests] == ["/oauth/token", "/chats/export"]
    assert (world["zone"], world["chats_per_day"], world["first_day"]) == ("America/Bogota", 40, "2025-03-03")


def test_several_clients_at_once_get_what_one_would_get() -> None:
    with running() as (_, client):
        alone = [chat["chat_id"] for chat in all_chats(client, page=30)]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda size: all_chats(client, page=size), [20, 30, 40, 50]))

    assert all([chat["chat_id"] for chat in chats] == alone for chats in together)


def test_serving_ends_with_an_interrupt() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        health = httpx.get(f"{url}/health").status_code

        process.send_signal(signal.SIGINT)

        assert (health, process.wait(timeout=10)) == (200, 0)


@pytest.mark.parametrize(("call", "times"), [(lambda book: book.take("/x"), 0), (lambda book: book.take("/y"), 1)])
def test_only_a_request_that_is_hit_counts(call: Callable[[FaultBook], object], times: int) -> None:
    book = FaultBook()
    book.add(Fault(kind="html", path="/x"))

    call(book)

    assert len(book.pending()) == times
