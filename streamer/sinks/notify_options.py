"""Which services messages go to, and what the messages look like."""

from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from streamer.errors import Retry
from streamer.sinks.apprise_service import Service
from streamer.sinks.surrounded import Surrounded
from streamer.sinks.templates import Template


class Templates(NamedTuple):
    """What makes title and body of a message about one alert."""

    title: Template
    body: Template


def _understood(value: SecretStr) -> SecretStr:
    Service(value.get_secret_value())
    return value


def _template(text: str) -> str:
    Template(text)
    return text


Url = Annotated[SecretStr, AfterValidator(_understood)]
TemplateText = Annotated[str, AfterValidator(_template)]


class NotifyOptions(Surrounded, BaseModel):
    """`url`, or `urls`, or a `url_file` with one a line; `owners` by the value of the tag `owner:…`.

    `title` and `body` are templates; from more than `digest` alerts at once one message is made; `logs` are lines.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Url | None = None
    urls: tuple[Url, ...] = ()
    url_file: Path | None = None
    owners: dict[str, Url] = Field(default_factory=dict)
    title: TemplateText = "{{ headline }}"
    body: TemplateText = "{{ message }}"
    digest: int = Field(5, ge=1)
    logs: int = Field(20, ge=0, le=200)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if [bool(self.url), bool(self.urls), bool(self.url_file)].count(True) != 1:
            raise ValueError("give url, urls or url_file: where alerts go that belong to none of the owners")
        return self

    @property
    def templates(self) -> Templates:
        """Return the templates."""
        return Templates(Template(self.title), Template(self.body))

    def urls_now(self) -> list[str]:
        """Return the URLs of those who get what is nobody else's, as they are now; raise `OSError` without the file."""
        if not self.url_file:
            return [each.get_secret_value() for each in self.urls or filter(None, [self.url])]
        lines = self.url_file.expanduser().read_text(encoding="utf-8").splitlines()
        if found := [line.strip() for line in lines if line.strip()]:
            return found
        raise Retry("url_file holds no url")
