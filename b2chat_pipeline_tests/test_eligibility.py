"""Who can be scored, why others cannot, what the model reads, and that nobody's data is in it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from b2chat_pipeline.analysis.eligibility import eligible
from b2chat_pipeline.analysis.scores import ResponseClock, response_time_score
from b2chat_pipeline.analysis.transcript import read_transcripts
from b2chat_pipeline_tests.metric_reference import Message
from b2chat_pipeline_tests.scoring_support import NOON, NOW, TALK, WEEK, Bench, chat, talk

pytestmark = pytest.mark.any_postgres

CLOSED = NOON + timedelta(hours=1)
BROADCAST = Message(NOON - timedelta(days=3), incoming=False, text="¡Solo esta semana!", broadcasted=True)
IMAGE = Message(NOON + timedelta(minutes=40), incoming=True, text=None, kind="image")
SURVEY = (
    Message(CLOSED + timedelta(minutes=1), incoming=False, text="¿Cómo califica la atención?"),
    Message(CLOSED + timedelta(minutes=2), incoming=True, text="1"),
)


def test_every_closed_chat_is_eligible_or_counted_by_the_first_reason_that_holds(bench: Bench) -> None:
    said = talk()
    late, wordless = NOW - timedelta(hours=23), (said[0], replace(said[1], text="Hola"))
    bench.hold(
        chat("good"),
        chat("begun by a broadcast", messages=(BROADCAST, *said)),
        chat("late", closed=late),
        chat("silent", messages=()),
        chat("superseded", messages=tuple(replace(it, superseded=True) for it in said)),
        chat("alone", messages=tuple(replace(it, incoming=False) for it in said)),
        chat("never answered", response=None),
        chat("only a broadcast", messages=(BROADCAST, said[0])),
        chat("short", messages=(replace(said[0], text="Hola, buenas"), wordless[1])),
        chat("long", messages=(*said, replace(said[0], text="no " * 70_000))),
        chat("answered before it began", response=NOON - timedelta(minutes=1)),
        chat("open", raw_status="OPENED", closed=None),
        chat("deleted", is_deleted=True),
        chat("another week", closed=WEEK.end),
    )
    bench.connection.execute("delete from analytics.chat_metrics where chat_id = 'good'")
    before_build = eligible(bench.connection, WEEK, NOW)
    bench.build()

    found = eligible(bench.connection, WEEK, NOW)

    assert before_build.reasons["metrics not built: run `b2chat build`"] == 1
    assert sorted(it.chat_id for it in found.candidates) == ["begun by a broadcast", "good"]
    assert found.reasons == {
        "no messages told": 2,
        "no message from the customer": 1,
        "never answered by an agent": 1,
        "only broadcasts from the company": 1,
        "fewer than ten words": 1,
        "too long": 1,
        "time of the first response not known": 1,
        "closed less than 24 hours ago": 1,
    }
    assert found.chats == 11


def test_the_model_reads_what_is_told_in_order_without_the_survey(bench: Bench) -> None:
    said = talk()
    bench.hold(
        chat(
            "surveyed", raw_status="COMPLETED_POLL", messages=(*said, replace(IMAGE, superseded=True), IMAGE, *SURVEY)
        ),
        chat("came back", messages=(BROADCAST, *said, *SURVEY)),
    )

    read = read_transcripts(bench.connection, ["surveyed", "came back"])

    surveyed = read["surveyed"].lines
    assert [line.text for line in surveyed] == [*(text for _, text in TALK), None]
    assert [line.n for line in surveyed] == [1, 2, 3, 4, 5, 6]
    assert (surveyed[0].side, surveyed[0].at, surveyed[-1].kind) == ("customer", "2025-03-03T17:00:00Z", "image")
    assert [line.text for line in read["came back"].lines][-1] == "1"


@pytest.mark.parametrize(
    ("elapsed", "score"), [(0, 100), (300, 100), (301, 100 - 1 / 9), (750, 50), (1200, 0), (90_000, 0)]
)
def test_the_response_time_falls_evenly_from_the_target_to_four_times_of_it(elapsed: float, score: float) -> None:
    assert response_time_score(ResponseClock(elapsed, 300)) == pytest.approx(score)


def test_the_response_time_is_that_of_the_metrics(bench: Bench) -> None:
    seconds = (0, 60, 300, 301, 500, 1100, 1200, 5000)
    bench.hold(*(chat(f"after {it}", response=NOON + timedelta(seconds=it)) for it in seconds))

    found = eligible(bench.connection, WEEK, NOW)

    expected = dict(bench.rows("select chat_id, response_time_score from analytics.chat_metrics"))
    assert {it.chat_id: response_time_score(it.clock) for it in found.candidates} == pytest.approx(expected)


def test_no_personal_data_planted_in_any_field_is_in_a_request(bench: Bench) -> None:
    bench.hold(
        chat(
            contact_id="k1",
            agent_id="a1",
            messages=talk(
                (True, "Hola, soy JOSÉ Ibáñez, mi cédula es 1.020.304.050 y no me ha llegado el pedido"),
                (False, "Hola Jose, le habla Begoña. ¿Su correo es jose.ibanez@\nexample.test?"),
                (True, "sí, o al +57 (300) 123.45.67; tarjeta 4111 1111 1111 1111; https://example.test/p?u=jose"),
                (False, "Vivo en la Carrera 7 # 12-34. Gracias, IBAÑEZ"),
            ),
        )
    )
    bench.connection.execute(
        "update contacts set full_name = 'José Ibáñez', mobile = '+573001234567', email = 'jose.ibanez@example.test',"
        " identification = '1020304050', address = 'Carrera 7 # 12-34', company = 'Textiles Aurora'"
    )
    bench.connection.execute("update agents set name = 'Begoña Peña', username = 'bpena'")

    bench.score()

    sent = b"".join(bench.server.bodies).decode().casefold()
    sent = sent[sent.index('"messages"') :]
    planted = ("jos", "ibañez", "ibáñez", "ibanez", "bego", "1.020", "304.050", "300", "123.45", "1111", "carrera 7")
    assert [it for it in planted if it in sent] == []
    assert "cédula es <document_1>" in sent or "cédula es <phone_1>" in sent


_TEXTS = """
    select table_name, column_name, data_type from information_schema.columns
     where table_schema = 'public' and table_name in ('departments', 'agents', 'contacts', 'chats', 'messages')
       and data_type in ('text', 'character varying', 'ARRAY', 'jsonb')
       and column_name !~ '(^|_)(id|hash|code)$' and column_name not in ('raw_status', 'raw_type', 'path')
     order by 1, 2
"""


# How a text gets into a column, by its type.
_PLANTED = {"ARRAY": "array[%s]", "jsonb": "jsonb_build_object('note', %s::text)"}


def test_a_number_planted_in_any_column_that_holds_text_is_in_no_request(bench: Bench) -> None:
    bench.hold(chat(contact_id="k1", agent_id="a1"))
    columns = bench.rows(_TEXTS)
    numbers = {f"{table}.{column}": f"30055501{place:02}" for place, (table, column, _) in enumerate(columns)}
    for table, column, kind in columns:
        said = f"concat_ws(' ', {column}, %s::text)" if column in {"text", "caption"} else _PLANTED.get(kind, "%s")
        number = f"+57 {numbers[f'{table}.{column}']}"
        bench.connection.execute(f"update {table} set {column} = {said}".encode(), [number])  # noqa: S608

    bench.score()

    sent = b"".join(bench.server.bodies).decode()
    assert {"messages.text", "messages.caption", "chats.alias", "contacts.full_name", "agents.name"} <= numbers.keys()
    assert "<PHONE_1>" in sent
    assert [place for place, number in numbers.items() if number in sent] == []
