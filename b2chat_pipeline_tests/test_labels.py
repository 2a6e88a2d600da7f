"""Labels: what people judged of conversations enters whole or not at all, and once."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from b2chat_pipeline.analysis.label_file import COLUMNS, LabelFileError, read_label_file
from b2chat_pipeline.analysis.rubric import NAMES, RUBRIC_VERSION
from b2chat_pipeline.cli import cli
from b2chat_pipeline.commands.labels import LabelsUnreadableError
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.scoring_support import CLOCK, NOW, Bench

pytestmark = pytest.mark.any_postgres

LEVELS = ("75", "100", "50", "25", "")
STORED = "select chat_id, labeller, language, levels::text, resolution, satisfaction, effectiveness"


def line(chat: str = "c0", labeller: str = "L1", at: str = "2025-03-09", language: str = "es", **levels: str) -> str:
    told = dict(zip(NAMES, LEVELS, strict=True)) | levels
    return ",".join([RUBRIC_VERSION, chat and f"b-{chat}", labeller, at, language, *told.values()])


def content(*lines: str, head: str = ",".join(COLUMNS)) -> bytes:
    return "\n".join((head, *lines)).encode()


@pytest.fixture
def settings(bench: Bench) -> dict[str, str]:
    bench.use(3)
    return account_environment("http://127.0.0.1:1", bench.url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def run(settings: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["labels", *arguments], env=settings)


def imported(settings: dict[str, str], file: Path, told: bytes) -> Result:
    file.write_bytes(told)
    return run(settings, "import", str(file))


def test_a_label_is_kept_with_what_its_levels_add_up_to(bench: Bench, settings: dict[str, str], file: Path) -> None:
    done = imported(settings, file, content(line(), line("c1", language="", satisfaction="", at="2025-03-09T14:00")))

    assert done.output.splitlines() == ["Labels in the file: 2, by 1 people.", "          2  new"]
    levels = '{"satisfaction": 25, "matter_settled": 75, "next_step_clear": 50, "questions_answered": 100}'
    without = '{"matter_settled": 75, "next_step_clear": 50, "questions_answered": 100}'
    assert bench.rows(f"{STORED} from ops.analysis_labels order by chat_id") == [
        ("c0", "L1", "es", levels, 77.5, 25.0, pytest.approx(56.5)),
        ("c1", "L1", None, without, 77.5, None, None),
    ]
    assert bench.rows("select labelled_at from ops.analysis_labels order by chat_id") == [
        (datetime(2025, 3, 9, 5, tzinfo=UTC),),
        (datetime(2025, 3, 9, 19, tzinfo=UTC),),
    ]


def test_importing_again_changes_nothing_and_only_what_was_judged_later_changes_a_label(
    bench: Bench, settings: dict[str, str], file: Path
) -> None:
    imported(settings, file, content(line(), line("c1")))
    before = bench.rows("select * from ops.analysis_labels order by chat_id")

    again = imported(settings, file, content(line(), line("c1")))
    unchanged = bench.rows("select * from ops.analysis_labels order by chat_id")
    older = imported(settings, file, content(line(at="2025-03-08", ease="0")))
    later = imported(settings, file, content(line(at="2025-03-10", ease="0"), line("c1", "L2")))

    assert again.output.splitlines()[1:] == ["          2  known already, unchanged"]
    assert unchanged == before
    assert older.output.splitlines()[1:] == ["          1  older than what the same person judged later, left out"]
    assert later.output.splitlines()[1:] == ["          1  new", "          1  changed"]
    assert bench.rows("select chat_id, labeller, levels -> 'ease' from ops.analysis_labels order by 1, 2") == [
        ("c0", "L1", 0),
        ("c1", "L1", None),
        ("c1", "L2", None),
    ]


def test_chats_that_are_not_loaded_are_told_by_their_lines_and_the_others_are_kept(
    bench: Bench, settings: dict[str, str], file: Path
) -> None:
    done = imported(settings, file, content(line("gone"), line(), line("c9")))

    assert done.exit_code == 1
    assert done.output.splitlines()[1:] == [
        "          1  new",
        "          2  of chats that are not loaded, left out",
        "Not loaded are the chats of lines 2, 4: load the days they were created on, or check them.",
    ]
    assert bench.rows("select chat_id from ops.analysis_labels") == [("c0",)]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([line(ease="60")], "line 2: ease is none of 0, 25, 50, 75, 100 and not empty"),
        ([line(), line("c1", labeller="Ana Rojas")], "line 3: labeller is no code of up to 20 letters"),
        ([line(at="yesterday")], "line 2: labelled_at is no day and no time"),
        ([line(at="2025-03-11")], "line 2: labelled_at lies in the future"),
        ([line(language="Spanish")], "line 2: language is no code of two or three letters"),
        ([line("")], "line 2: chat is empty"),
        ([line(), line()], "line 3: chat was judged by this labeller in a line before"),
        ([line() + ",private"], "line 2: has more cells than there are columns"),
        ([line().replace(RUBRIC_VERSION, "0.old")], f"line 2: rubric is not {RUBRIC_VERSION}"),
        ([line(ease="60"), line("c1", at="")], "100 and not empty; line 3: labelled_at is no day and no time"),
    ],
)
def test_a_mistake_is_told_by_line_and_column_without_repeating_it(lines: list[str], told: str) -> None:
    with pytest.raises(LabelFileError) as raised:
        read_label_file(content(*lines), CLOCK, NOW)

    assert told in str(raised.value)
    assert not {"60", "Ana", "Rojas", "yesterday", "Spanish", "private", "0.old"} & set(str(raised.value).split())


def test_of_many_mistakes_ten_are_told() -> None:
    with pytest.raises(LabelFileError, match=r"line 11: [^;]*; and 5 more"):
        read_label_file(content(*(line(f"c{number}", ease="7") for number in range(15))), CLOCK, NOW)


def test_a_file_with_a_mistake_leaves_everything_as_it_was(bench: Bench, settings: dict[str, str], file: Path) -> None:
    done = imported(settings, file, content(line(), line("c1", ease="60")))

    assert isinstance(done.exception, LabelFileError)
    assert bench.rows("select * from ops.analysis_labels") == []


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("rubric,chat,labeller,labelled_at", "line 1: lacks the column matter_settled; line 1: lacks"),
        (",".join((*COLUMNS, "name")), "line 1: has 1 columns too many"),
        (",".join((*COLUMNS, "ease")), "line 1: has 1 columns too many"),
        ("", "line 1: lacks the column rubric"),
    ],
)
def test_columns_that_are_missing_or_too_many_are_told(head: str, told: str) -> None:
    with pytest.raises(LabelFileError, match=told):
        read_label_file(content(line(), head=head), CLOCK, NOW)


def test_what_a_spreadsheet_makes_of_it_is_read_all_the_same() -> None:
    head = ",".join(reversed(COLUMNS)).upper()
    spreadsheet = content(",".join(reversed(line().split(","))), "," * (len(COLUMNS) - 1), head=head)

    told = read_label_file(b"\xef\xbb\xbf" + spreadsheet.replace(b",", b";").replace(b"\n", b"\r\n"), CLOCK, NOW)

    assert told.labels == read_label_file(content(line()), CLOCK, NOW).labels
    assert told.not_filled_in == 1


def test_a_file_that_is_not_utf_8_or_not_there_says_so(settings: dict[str, str], file: Path) -> None:
    assert isinstance(imported(settings, file, "é".encode("latin-1")).exception, LabelFileError)
    assert isinstance(run(settings, "import", str(file.parent / "none.csv")).exception, LabelsUnreadableError)


def test_the_template_holds_the_chats_that_can_be_scored_and_is_imported_once_it_is_filled_in(
    bench: Bench, settings: dict[str, str], file: Path
) -> None:
    printed = run(settings, "template", "2025-03-01", "2025-03-10").output
    lines = list(csv.DictReader(io.StringIO(printed)))
    lines[1] |= {"labeller": "L1", "labelled_at": "2025-03-09", "matter_settled": "100"}
    filled = io.StringIO()
    writer = csv.DictWriter(filled, COLUMNS)
    writer.writeheader()
    writer.writerows(lines)

    done = imported(settings, file, filled.getvalue().encode())

    assert [it["chat"] for it in lines] == ["b-c0", "b-c1", "b-c2"]
    assert done.output.splitlines() == [
        "Labels in the file: 1, by 1 people.",
        "          1  new",
        "          2  lines without any level, left out",
    ]
    assert bench.rows("select chat_id from ops.analysis_labels") == [("c1",)]
