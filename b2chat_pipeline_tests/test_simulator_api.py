"""The simulator answers as the vendor's contract says: tokens, parameters, order, paging, shapes, limits."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from b2chat_pipeline.simulator import Simulator
from b2chat_pipeline_tests.simulator_support import SMALL, all_chats, running, token

CHAT_KEYS = {
    *(
        "agent",
        "alias",
        "chat_id",
        "closed_at",
        "contact",
        "created_at",
        "department",
        "duration",
        "is_agent_available",
    ),
    *(
        "is_agent_available",
        "messages",
        "opened_at",
        "picked_up_at",
        "provider",
        "responded_at",
        "status",
        "tags",
        "viewer_url",
    ),
}
CONTACT_KEYS = {
    *("contact_id", "fullname", "identification", "email", "landline", "mobile", "address", "country", "city"),
    *("company", "merchant_id", "created", "updated", "custom_attributes", "tags"),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running() as (_, client):
        yield client


def export(client: httpx.Client, **params: object) -> dict[str, Any]:
    answer = client.get("/chats/export", params={name: str(value) for name, value in params.items()})
    return dict(answer.raise_for_status().json())


def contacts(client: httpx.Client, **params: object) -> dict[str, Any]:
    answer = client.get("/contacts/export", params={name: str(value) for name, value in params.items()})
    return dict(answer.raise_for_status().json())


def test_asking_for_a_token_again_gives_the_same_one_with_the_seconds_that_remain() -> None:
    with running() as (simulator, client):
        first = token(client)

        simulator.clock.advance(timedelta(hours=10))
        again = token(client)

    assert first == {**again, "expires_in": 86_400}
    assert again["expires_in"] == 14 * 3600


def test_after_a_day_the_token_ends_and_another_one_is_given() -> None:
    with running() as (simulator, client):
        first = token(client)

        simulator.clock.advance(timedelta(hours=24))

        assert client.get("/chats/export").status_code == 401
        assert token(client)["access_token"] != first["access_token"]


def test_the_grant_type_may_travel_in_the_query_string(client: httpx.Client) -> None:
    answer = client.post("/oauth/token", auth=("demo", "demo"), params={"grant_type": "client_credentials"})

    assert answer.json() == token(client)


def test_wrong_credentials_are_an_oauth_error(client: httpx.Client) -> None:
    answer = client.post("/oauth/token", auth=("demo", "wrong"), data={"grant_type": "client_credentials"})

    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic ZGVtbzpkZW1v"])
def test_data_needs_the_token(client: httpx.Client, authorization: str) -> None:
    answer = client.get("/chats/export", headers={"Authorization": authorization})

    assert answer.status_code == 401


def test_a_page_has_the_envelope_and_exactly_the_keys_of_the_contract(client: httpx.Client) -> None:
    page = export(client, limit=5, date_range_from="2025-03-04", date_range_to="2025-03-05")

    assert {key: value for key, value in page.items() if key != "chats"} == {
        "exported": 5,
        "message": "5 chats were exported",
        "total": SMALL.chats_on(SMALL.first_day + timedelta(1)) + SMALL.chats_on(SMALL.first_day + timedelta(2)),
    }
    assert all(set(chat) == CHAT_KEYS for chat in page["chats"])


def test_the_last_day_is_included_and_days_are_the_accounts_own(client: httpx.Client) -> None:
    created = [
        chat["created_at"] for chat in all_chats(client, date_range_from="2025-03-04", date_range_to="2025-03-05")
    ]

    assert {it[:10] for it in created} == {"2025-03-04", "2025-03-05"}
    # 20:00 in Bogotá is the next day in UTC.
    assert any(it >= "2025-03-05 19:00:00" for it in created)


def test_chats_are_newest_first_unless_asked_otherwise(client: httpx.Client) -> None:
    newest_first = [chat["chat_id"] for chat in export(client)["chats"]]

    assert newest_first == [chat["chat_id"] for chat in all_chats(client)][::-1]


def test_chats_are_ordered_by_creation(client: httpx.Client) -> None:
    created = [chat["created_at"] for chat in all_chats(client)]

    assert created == sorted(created)
    assert len(created) > 200


def test_pages_put_together_are_the_whole(client: httpx.Client) -> None:
    by_seven = [chat["chat_id"] for chat in all_chats(client, page=7)]

    assert by_seven == [chat["chat_id"] for chat in all_chats(client, page=1000)]
    assert len(set(by_seven)) == len(by_seven)


def test_an_offset_beyond_the_end_is_an_empty_page_with_the_same_total(client: httpx.Client) -> None:
    page = export(client, offset=100_000)

    assert page["chats"] == []
    assert page["total"] == export(client, limit=1)["total"]


def test_a_limit_above_a_thousand_counts_as_a_thousand() -> None:
    with running(SMALL.__class__(first_day=SMALL.first_day, zone=SMALL.zone, chats_per_day=400)) as (_, client):
        assert export(client, limit=5000)["exported"] == 1000
        assert export(client)["exported"] == 1000


def test_parameters_in_a_json_body_mean_the_same_as_in_the_query_string(client: httpx.Client) -> None:
    body = {"limit": 3, "order_dir": "asc", "date_range": {"from": "2025-03-04", "to": "2025-03-05"}}
    told = client.request("GET", "/chats/export", json=body).json()

    asked = export(client, limit=3, order_dir="asc", date_range_from="2025-03-04", date_range_to="2025-03-05")
    assert [chat["chat_id"] for chat in told["chats"]] == [chat["chat_id"] for chat in asked["chats"]]
    assert told["total"] == asked["total"]


@pytest.mark.parametrize("body", ["[]", "not json", '{"filters": [1]}', '{"contact_lookup": ["x"]}'])
def test_a_malformed_body_is_refused(client: httpx.Client, body: str) -> None:
    assert client.request("GET", "/contacts/export", content=body).status_code == 422


@pytest.mark.parametrize(
    "params",
    [
        {"date_range_from": "2025-03-04", "date_range_to": "2025-03-04"},
        {"date_range_from": "2025-03-05", "date_range_to": "2025-03-04"},
        {"date_range_from": "2025-03-04 10:00:00"},
        {"date_range_from": "20250304"},
        {"limit": "many"},
        {"limit": "0"},
        {"offset": "-1"},
        {"order_dir": "newest"},
        {"messaging_provider": "WHATSAPPB2CHAT"},
    ],
)
def test_a_malformed_parameter_is_refused(client: httpx.Client, params: dict[str, str]) -> None:
    answer = client.get("/chats/export", params=params)

    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}


def test_a_provider_filter_takes_the_whole_family(client: httpx.Client) -> None:
    found = {chat["provider"] for chat in export(client, messaging_provider="whatsapp")["chats"]}

    assert found > {"WHATSAPPB2CHAT", "WHATSAPP360"}
    assert all(provider.startswith("WHATSAPP") for provider in found)


def test_an_agent_filter_takes_the_username(client: httpx.Client) -> None:
    username = next(chat["agent"]["username"] for chat in all_chats(client) if chat["agent"])

    page = export(client, agent_lookup=username)
    assert {chat["agent"]["username"] for chat in page["chats"]} == {username}
    assert page["total"] == page["exported"] < export(client)["total"]


def test_a_contact_filter_takes_part_of_a_mobile_number(client: httpx.Client) -> None:
    wanted = next(chat["contact"]["mobile_number"][-9:] for chat in all_chats(client) if chat["contact"])

    found = export(client, contact_lookup=wanted)["chats"]
    assert found
    assert all(wanted in chat["contact"]["mobile_number"] for chat in found)


def test_chats_an_agent_started_tell_no_messages(client: httpx.Client) -> None:
    chats = all_chats(client)

    silent = [chat for chat in chats if not chat["messages"]]
    assert 0.15 < len(silent) / len(chats) < 0.35
    assert any(chat["status"] == "RESPONDED_BY_AGENT" or chat["responded_at"] for chat in silent)


def test_media_urls_are_signed_anew_in_every_answer(client: httpx.Client) -> None:
    def urls() -> list[str]:
        return [it["body"] for chat in all_chats(client) for it in chat["messages"] if it["type"] != "TEXT"]

    first, second = urls(), urls()

    assert first
    assert all("{" not in url and "?" in url for url in first)
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert [url.split("?")[0] for url in first] == [url.split("?")[0] for url in second]


def test_two_simulators_of_one_world_answer_with_the_same_bytes() -> None:
    def answers() -> list[bytes]:
        with running() as (_, client):
            return [client.get(path, params={"limit": "50"}).content for path in ("/chats/export", "/contacts/export")]

    assert answers() == answers()


def test_contacts_hide_tags_and_attributes_unless_told_not_to(client: httpx.Client) -> None:
    hidden = contacts(client)["contacts"]
    shown = contacts(client, skip_tags="false", skip_custom_attributes="false")["contacts"]

    assert all(set(contact) == CONTACT_KEYS for contact in hidden)
    assert all(contact["tags"] is None and contact["custom_attributes"] is None for contact in hidden)
    assert any(contact["tags"] for contact in shown)
    assert any(contact["custom_attributes"] for contact in shown)


def test_contacts_are_found_by_the_day_they_were_updated(client: httpx.Client) -> None:
    page = contacts(client, updated_from="2025-03-08", updated_to="2025-03-10", order_dir="ASC")

    updated = [contact["updated"] for contact in page["contacts"]]
    assert updated == sorted(updated)
    assert {it[:10] for it in updated} == {"2025-03-08", "2025-03-09", "2025-03-10"}
    assert page["total"] < contacts(client)["total"]


def test_the_order_of_contacts_cannot_be_chosen_without_a_date_filter(client: httpx.Client) -> None:
    assert contacts(client, order_dir="ASC")["contacts"] == contacts(client, order_dir="DESC")["contacts"]


def test_contacts_are_found_by_mobile_but_not_by_email(client: httpx.Client) -> None:
    known = next(it for it in contacts(client)["contacts"] if it["email"] and it["mobile"])

    def lookup(value: str) -> list[int]:
        body = {"filters": {"contact_lookup": [{"field": "mobile", "value": value}]}}
        found = client.request("GET", "/contacts/export", json=body).json()["contacts"]
        return [it["contact_id"] for it in found]

    assert known["contact_id"] in lookup(known["mobile"])
    assert lookup(known["email"]) == []


def test_the_contact_in_a_chat_is_the_contact_of_the_other_endpoint(client: httpx.Client) -> None:
    full = {it["contact_id"]: it for it in contacts(client)["contacts"]}
    embedded = [chat["contact"] for chat in all_chats(client) if chat["contact"]]

    assert embedded
    assert all(full[it["id"]]["fullname"] == it["name"] for it in embedded)
    assert all(full[it["id"]]["mobile"] == it["mobile_number"] for it in embedded)


def test_more_requests_than_allowed_in_a_second_are_refused_with_a_wait() -> None:
    with running(requests_per_second=2) as (_, client):
        statuses = [client.get("/chats/export", params={"limit": "1"}) for _ in range(3)]

    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert statuses[-1].headers["Retry-After"] == "1"


def test_the_daily_allowance_begins_anew_at_the_accounts_midnight() -> None:
    with running(requests_per_day=1) as (simulator, client):
        used_up = [client.get("/contacts/export", params={"limit": "1"}) for _ in range(2)]

        simulator.clock.advance(timedelta(hours=11))
        next_day = client.get("/contacts/export", params={"limit": "1"})

    assert [answer.status_code for answer in used_up] == [200, 429]
    assert used_up[1].headers["Retry-After"] == str(11 * 3600)
    assert next_day.status_code == 200


@pytest.mark.parametrize("path", ["/chats", "/agents", "/departments", "/contacts"])
def test_endpoints_that_do_not_exist_are_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert set(answer.json()) == {"message"}


def test_health_needs_no_token(client: httpx.Client) -> None:
    assert client.get("/health", headers={"Authorization": ""}).status_code == 200


def test_requests_are_recorded_without_credentials() -> None:
    with running() as (simulator, client):
        export(client, limit=2)

    assert [(it.method, it.path, it.status) for it in simulator.requests] == [
        ("POST", "/oauth/token", 200),
        ("GET", "/chats/export", 200),
    ]
    assert simulator.requests[1].params == {"limit": "2"}
    assert "demo" not in repr(simulator.requests)


def test_a_simulator_that_is_not_running_has_no_url() -> None:
    with running() as (simulator, _):
        assert simulator.url.startswith("http://127.0.0.1:")

    assert isinstance(simulator, Simulator)
    with pytest.raises(RuntimeError, match="with block"):
        _ = simulator.url
