"""A real headless Chromium, spoken to by its DevTools protocol over a websocket.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import itertools
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import websockets

from streamer.testing import until

CHROMIUM = "chromium"
START_SECONDS = 30.0
_FLAGS = (
    *("--headless=new", "--remote-debugging-port=0", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--force-color-profile=srgb"),
)


class Tab:
    """A tab: what it shows, what it complains of, and what it asks for."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._connection = connection
        self._context = self._session = ""
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()

    async def open(self) -> None:
        """Open it, and listen to what it says."""
        self._context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=self._context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")

    async def close(self) -> None:
        """Close it, and forget what it kept."""
        self._session = ""
        await self.call("Target.disposeBrowserContext", browserContextId=self._context)

    async def go(self, url: str) -> None:
        """Go to an address, and return when its page has loaded."""
        self._loaded.clear()
        answer = await self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        await self._loaded.wait()

    async def value(self, expression: str) -> Any:
        """Return what a JavaScript expression comes to; a promise is waited for."""
        how = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = await self.call("Runtime.evaluate", **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def shows(self, expression: str, *, seconds: float = 10.0) -> None:
        """Return once a JavaScript expression comes to something that is true."""
        try:
            await until(lambda: self.value(f"Boolean({expression})"), seconds=seconds)
        except TimeoutError:
            text = await self.value("document.body.innerText")
            raise AssertionError(f"not within {seconds} s: {expression}\n{text}\n{self.complaints}") from None

    async def is_sized(self, width: int, height: int) -> None:
        """Be as wide and high as this."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def prefers(self, **features: str) -> None:
        """Have a viewer who prefers this, such as `color_scheme="dark"`."""
        told = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=told)

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = {"Enter": "\r"}.get(key)
        told = {"key": key, "code": key, "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}.get(key, 0)}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    async def picture(self, file: Path) -> None:
        """Keep what is seen as a PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(answer["data"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._connection.send(json.dumps({"id": number, "method": method, "params": parameters, **session}))
        found: dict[str, Any] = await answer
        return found

    async def listen(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self._connection:
            said = json.loads(message)
            if "id" not in said:
                self._hear(said["method"], said["params"])
            elif answer := self._answers.pop(said["id"], None):
                if "error" in said:
                    answer.set_exception(AssertionError(said["error"]["message"]))
                else:
                    answer.set_result(said["result"])

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str([each.get("value", each.get("description")) for each in told["args"]]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")


class Browser:
    """`with Browser(folder) as browser:` — a browser with a profile of its own; tabs know nothing of each other."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "profile" / "DevToolsActivePort"
        self._log = (folder / "chromium.log").open("wb")
        command = (CHROMIUM, *_FLAGS, f"--user-data-dir={self._said.parent}", "about:blank")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Open a tab for the length of the block."""
        await until(lambda: self._said.exists() and self._said.read_text().count("\n"), seconds=START_SECONDS)
        port, path = self._said.read_text().splitlines()
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as connection:
            tab = Tab(connection)
            listening = asyncio.create_task(tab.listen())
            await tab.open()
            yield tab
            await tab.close()
            listening.cancel()
