"""A template says all that a record says, fails in a sentence, and gets at nothing else."""

import orjson
import pytest

from schemas import decode, to_json
from streamer.errors import Reject
from streamer.model import Record
from streamer.sinks.templates import Template
from tests.frames import Json, bare, deployed, heartbeat, transition


def record(content: Json | None = None) -> Record:
    return Record(7, "default", decode(bare(content or transition("RUNNING", "FAILED", related=deployed("prod")))))


def rendered(text: str, content: Json | None = None) -> str:
    body = Template(text).render(record(content))
    return body.decode() if body else ""


def refusal(text: str) -> str:
    with pytest.raises(Reject) as caught:
        Template(text).render(record())
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ flow_run.name }}: {{ from.name }} → {{ to.name }}", "loose-quetzal: Running → Failed"),
        ("{{ kind }} {{ seq }} {{ source }}", "transition 7 default"),
        ("{{ record['to']['type'] }}", "FAILED"),
        ("{{ tags | join(',') }}", "prod"),
        ("{% for tag in tags %}<{{ tag }}>{% endfor %}", "<prod>"),
        ("{{ occurred }}", "2026-11-21T02:03:47.010932Z"),
        ("{{ occurred | time }}", "2026-11-21 02:03:47"),
        ("{{ occurred | time('%H:%M') }}", "02:03"),
        ("{{ occurred | time('%H:%M', 'Asia/Tokyo') }}", "11:03"),
        ("{{ occurred | epoch }}", "1795226627.010932"),
        ("{{ to.message is none }}", "True"),
        ("a line\n", "a line"),
    ],
)
def test_it_says_what_the_record_says(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_the_record_as_json_is_the_record() -> None:
    given = record()
    assert Template("{{ record | tojson }}").render(given) == to_json(7, "default", given.event)


def test_json_is_not_written_for_html() -> None:
    content = transition(name="<a> & 'b' \"c\" ü")
    assert rendered("{{ to.name | tojson }}", content) == '"<a> & \'b\' \\"c\\" ü"'
    assert rendered("{{ to.name }}", content) == "<a> & 'b' \"c\" ü"


def test_a_template_can_make_json_of_its_own() -> None:
    made = rendered('{"text": {{ ("run " ~ flow_run.name) | tojson }}, "tags": {{ tags | tojson }}}')
    assert orjson.loads(made) == {"text": "run loose-quetzal", "tags": ["prod"]}


@pytest.mark.parametrize("text", ["", " \n\t", "{% if to.type == 'COMPLETED' %}done{% endif %}"])
def test_nothing_but_blanks_is_no_message(text: str) -> None:
    assert Template(text).render(record()) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% if %}", "wrong in line 1: "),
        ("{{ seq }}\n{{ seq", "wrong in line 2: "),
        ("{{ seq | nonsense }}", "wrong in line 1: No filter named 'nonsense'"),
        ("{% include 'passwd' %}", "cannot include, import or extend"),
        ("{% include source %}", "cannot include, import or extend"),
        ("{% extends 'base' %}", "cannot include, import or extend"),
        ("{% from 'x' import y %}", "cannot include, import or extend"),
    ],
)
def test_what_is_no_template_of_ours_is_a_value_error(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Template(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ flw.name }}", "UndefinedError: 'flw' is undefined"),
        ("{{ flow.nam }}", "UndefinedError: 'dict object' has no attribute 'nam'"),
        ("{{ nothing | tojson }}", "TypeError: "),
        ("{{ verdict.status }}", "UndefinedError: 'verdict' is undefined"),
        ("{{ task_run.name }}", "UndefinedError: 'None' has no attribute 'name'"),
        ("{{ seq / 0 }}", "ZeroDivisionError: "),
        ("{{ seq + source }}", "TypeError: "),
        ("{{ received_ | time }}", "TypeError: "),
        ("{{ source | time }}", "ValueError: "),
        ("{{ occurred | time('%H', 'Mars/Olympus') }}", "ZoneInfoNotFoundError: "),
        ("{{ occurred | time('%H', 'Europe') }}", "Error: "),
        ("{{ occurred | time('%H', '../x') }}", "ValueError: "),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "RecursionError: "),
        ("{{ '\\ud800' }}", "UnicodeEncodeError: "),
        ("{{ [1][seq] }}", "UndefinedError: "),
        ("{{ tags | dictsort }}", "AttributeError: "),
        ("{{ 'x' * 10 ** 18 }}", "MemoryError: "),
        ("{% for i in range(100001) %}x{% endfor %}", "OverflowError: Range too big"),
    ],
)
def test_what_fails_on_a_record_is_refused_in_a_sentence(text: str, reason: str) -> None:
    assert refusal(text).startswith("the template fails on this record: ")
    assert reason in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ record.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ record.update({'seq': 1}) }}",
        "{{ tags.append('x') }}",
        "{{ '{0.__class__}'.format(seq) }}",
        "{{ lipsum(n=1000000) }}",
    ],
)
def test_the_sandbox_is_shut(text: str) -> None:
    assert "Error" in refusal(text)


def test_a_template_leaves_the_next_record_alone() -> None:
    template = Template("{% set seq = 8 %}{{ seq }}{{ record.seq }}")
    assert template.render(record()) == template.render(record()) == b"87"


def test_records_of_other_kinds_can_be_told_apart() -> None:
    text = "{% if kind == 'transition' %}{{ to.name }}{% else %}{{ kind }} of {{ flow_run.name }}{% endif %}"
    assert rendered(text, heartbeat()) == "heartbeat of loose-quetzal"
