"""The questions in the documentation are answered as it says."""

import json
import re
from pathlib import Path

from tests.web.graphql.conftest import Ask

PAGE = Path(__file__).parents[3] / "docs" / "graphql.md"
PAIR = re.compile(r"```graphql\n(.*?)```\n+```json\n(.*?)```", re.DOTALL)


def test_the_questions_on_the_page_are_answered_so(ask: Ask) -> None:
    pairs = PAIR.findall(PAGE.read_text(encoding="utf-8"))
    assert len(pairs) == 3
    for query, answer in pairs:
        assert ask(query) == json.loads(answer)
