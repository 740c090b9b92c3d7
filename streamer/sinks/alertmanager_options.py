"""Where Alertmanager is, which labels each alert has, and how often what fires is told again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from streamer.durations import Duration
from streamer.sinks.http_options import Http, without_login
from streamer.sinks.surrounded import Surrounded

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class AlertmanagerOptions(Surrounded, Http):
    """`url`, or `urls` of all instances of a cluster; credentials in one become `username` and `password`."""

    url: str | None = None
    urls: tuple[str, ...] = ()
    labels: dict[LabelName, str] = Field(default_factory=dict)
    refresh: Annotated[Duration, Field(ge=timedelta(milliseconds=100))] = timedelta(minutes=1)
    logs: int = Field(20, ge=0, le=200)
    timeout: float = Field(10.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _take_the_login_out_of_the_urls(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        login: dict[str, str] = {}
        bare: dict[str, Any] = {}
        if isinstance(url := given.get("url"), str):
            bare["url"], login = without_login(url)
        if isinstance(urls := given.get("urls"), list | tuple) and all(isinstance(each, str) for each in urls):
            found = [without_login(each) for each in urls]
            bare["urls"] = [each for each, _ in found]
            login = next((each for _, each in found if each), login)
        return {**login, **given, **bare}

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "AlertmanagerOptions":
        if bool(self.url) == bool(self.urls):
            raise ValueError("give url, or the urls of all instances of a cluster")
        return self

    @property
    def bases(self) -> list[str]:
        """Return the addresses that the paths of the API come after."""
        return [each.rstrip("/") for each in (self.urls or filter(None, [self.url]))]
