"""A headless Chromium, driven over a pipe with the DevTools protocol: no port and no package.

References:
    https://chromedevtools.github.io/devtools-protocol/, `--remote-debugging-pipe`: messages are
    JSON that ends with a zero byte; Chromium reads file descriptor 3 and writes descriptor 4.
"""

from __future__ import annotations

import base64
import fcntl
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

TIMEOUT = 60.0

_FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "remote-debugging-pipe",
    "hide-scrollbars",
    "force-color-profile=srgb",
)

_KEYS = {
    " ": ("Space", 32),
    "ArrowLeft": ("ArrowLeft", 37),
    "ArrowUp": ("ArrowUp", 38),
    "ArrowRight": ("ArrowRight", 39),
    "ArrowDown": ("ArrowDown", 40),
    "PageUp": ("PageUp", 33),
    "PageDown": ("PageDown", 34),
    "End": ("End", 35),
    "Home": ("Home", 36),
    "Escape": ("Escape", 27),
    "Tab": ("Tab", 9),
    "Enter": ("Enter", 13),
}


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome, if one is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One headless browser with one page at a time."""

    def __init__(self, program: str, profile: Path) -> None:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        flags = [f"--{flag}" for flag in _FLAGS]
        # A shell puts the pipes where Chromium looks for them; they must not lie there before.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers)]
        place = f'exec "$0" "$@" 3</dev/fd/{ends[0]} 4>/dev/fd/{ends[1]}'
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", place, program, *flags, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (commands, answers, *ends):
            os.close(end)
        self._buffer = b""
        self._number = itertools.count(1)
        self._session: str | None = None
        self._target: str | None = None
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser."""
        try:
            self._session = None
            self.send("Browser.close")
        finally:
            self._process.wait(TIMEOUT)
            os.close(self._write)
            os.close(self._read)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._number)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") != number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def open(
        self,
        address: str,
        *,
        width: int = 1280,
        height: int = 800,
        ratio: float = 1.0,
        dark: bool = False,
        touch: bool = False,
    ) -> None:
        """Open a page anew and wait until it says that it is ready, or that it failed."""
        self._session = None
        if self._target:
            self.send("Target.closeTarget", targetId=self._target)
        self._target = target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.events.clear()
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=ratio,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.send("Page.navigate", url=address)
        self.wait_for("document.body?.dataset.ready === 'true' || document.body?.dataset.error")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.03)
        raise TimeoutError(f"never true: {expression}\nstate: {self.evaluate(STATE)}")

    def state(self) -> dict[str, str]:
        """Return what the page says that it shows, after the frame that is being drawn."""
        return self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame("
            f"() => done({STATE}))))"
        )

    def press(self, key: str, *, shift: bool = False) -> dict[str, str]:
        """Press and release a key, and return the state after it."""
        code, number = _KEYS.get(key, ("", ord(key[0].upper())))
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        event["modifiers"] = 8 if shift else 0
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)
        return self.state()

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send a mouse event: `mousePressed`, `mouseReleased`, `mouseMoved`, `mouseWheel`."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> dict[str, str]:
        """Click with the left button, and return the state after it."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)
        return self.state()

    def picture(self) -> np.ndarray:
        """Return what is on the screen as [row, column, 3] bytes."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.picture_bytes())).convert("RGB"))

    def picture_bytes(self) -> bytes:
        """Return what is on the screen as a PNG file."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for, other than itself."""
        self.evaluate("0")
        asked = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Return the errors that the page wrote to its console."""
        self.evaluate("0")
        thrown = [e for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        logged = [
            e["params"]["entry"]["text"]
            for e in self.events
            if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]
        return [json.dumps(e["params"]) for e in thrown] + logged

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], TIMEOUT)
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError("the browser does not answer")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


STATE = "({...document.body.dataset})"
