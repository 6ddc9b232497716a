"""Asks a language model behind any endpoint that speaks OpenAI's chat completions.

What comes back is untrusted. It is read up to a size and a time, of a connection that is encrypted
unless it stays on this machine, and is only ever handed on as text. Redirects are not followed: the
key goes to the address that the user gave, and nowhere else. The key is in no error and no repr.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kerbstone.errors import InputError, KerbstoneError, MissingError, UsageError, missing_extra

if TYPE_CHECKING:
    import httpx2

Message = Mapping[str, str]

_MOST_BYTES = 64_000
_MOST_SHOWN = 300
_LONGEST = 600.0
_BUSY = frozenset({429, 503})
_PAUSE = 1.0


@dataclass(frozen=True)
class Settings:
    """Which language model to ask, and for how long.

    Args:
        url: Address of the service, with or without `/chat/completions` at its end: `https`, or
            `http` on this machine.
        model: Name of the model there.
        key: Sent as a bearer token; none if empty.
        timeout: For how long an answer is waited for, repairs included [s].

    Raises:
        UsageError: The address, the key or the time cannot be used.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0

    def __post_init__(self) -> None:
        """Check what a user may have got wrong."""
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            raise _unusable("the address is none", "KERBSTONE_LLM_URL") from None
        if not self.url.isprintable() or parts.username or parts.password or not host:
            # What stands before an @ is a secret, so that the address is not shown.
            why = "there is a user name in it" if parts.username or parts.password else ""
            raise _unusable("the address is none", "KERBSTONE_LLM_URL", why)
        if parts.scheme not in {"http", "https"}:
            raise _unusable("the address is none", "KERBSTONE_LLM_URL", "it begins with https://")
        if parts.scheme == "http" and not is_loopback(host):
            raise _unusable(
                "the address is not encrypted",
                "KERBSTONE_LLM_URL",
                f"http is for this machine (127.0.0.1, localhost), and {host} is another",
            )
        if not self.model.strip() or not self.model.isprintable():
            raise _unusable("no model is named", "KERBSTONE_LLM_MODEL")
        if not all("!" <= character <= "~" for character in self.key):
            raise _unusable("the key has characters that no key has", "KERBSTONE_LLM_KEY")
        if not 0 < self.timeout <= _LONGEST:
            why = f"found {self.timeout:g} s, expected up to {_LONGEST:g} s"
            raise _unusable("the time is out of range", "KERBSTONE_LLM_TIMEOUT", why)

    @property
    def place(self) -> str:
        """The address as it may be shown: without what stands after a question mark."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings | None:
    """Return the language model that the environment names, or None.

    Args:
        environment: `KERBSTONE_LLM_URL`, `KERBSTONE_LLM_MODEL`, `KERBSTONE_LLM_KEY` and
            `KERBSTONE_LLM_TIMEOUT` [s]; the process' own if not given.

    Raises:
        UsageError: A value cannot be used.
    """
    given = os.environ if environment is None else environment
    url = given.get("KERBSTONE_LLM_URL", "").strip()
    if not url:
        return None
    timeout = given.get("KERBSTONE_LLM_TIMEOUT", "").strip() or "60"
    try:
        seconds = float(timeout)
    except ValueError:
        why = f"found {show(timeout)}, expected seconds"
        raise _unusable("the time is no number", "KERBSTONE_LLM_TIMEOUT", why) from None
    return Settings(
        url,
        given.get("KERBSTONE_LLM_MODEL", "").strip(),
        given.get("KERBSTONE_LLM_KEY", "").strip(),
        seconds,
    )


def ask(messages: Sequence[Message], settings: Settings, *, until: float) -> str:
    """Return what a model answers.

    Args:
        messages: The conversation so far.
        settings: Whom to ask.
        until: When to give up, on the clock of `time.monotonic` [s].

    Raises:
        InputError: What came back is no answer (`model-reply`).
        MissingError: There is no such service, it refuses or takes too long (`model-service`),
            or the extra `llm` is not installed.
    """
    try:
        import httpx2  # noqa: F401 - here, so that its absence has an error of its own
    except ImportError:
        raise missing_extra("llm", "asking a language model") from None
    outcome: list[str | BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(_converse(messages, settings, until)))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.append(error)

    # In a thread of its own it also works where an event loop is running already (notebooks).
    thread = threading.Thread(target=work, name="language model", daemon=True)
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def show(text: str, *, secret: str = "", most: int = _MOST_SHOWN) -> str:
    """Return untrusted text so that a terminal can show it: short, on one line, without controls."""
    text = text.replace(secret, "[key]") if secret else text
    plain = " ".join(text[: 4 * most].split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)
    return shown if len(shown) <= most and len(text) <= 4 * most else f"{shown[:most]} …"


async def _converse(messages: Sequence[Message], settings: Settings, until: float) -> str:
    import httpx2

    url = settings.url
    path, question, rest = url.partition("?")
    if not path.rstrip("/").endswith("/chat/completions"):
        url = f"{path.rstrip('/')}/chat/completions{question}{rest}"
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if settings.key:
        headers["Authorization"] = f"Bearer {settings.key}"
    body = {"model": settings.model, "messages": list(messages)}
    is_local = is_loopback(urlsplit(url).hostname or "")
    try:
        async with asyncio.timeout(max(until - time.monotonic(), 0.0)):
            # A proxy of the environment must not get what was meant to stay on this machine.
            async with httpx2.AsyncClient(
                timeout=None, follow_redirects=False, trust_env=not is_local
            ) as client:
                async with client.stream("POST", url, json=body, headers=headers) as response:
                    pause = _pause(response.headers.get("Retry-After", ""))
                    is_busy = response.status_code in _BUSY
                    if not is_busy or time.monotonic() + pause >= until:
                        return await _read(response, settings)
                await asyncio.sleep(pause)
                async with client.stream("POST", url, json=body, headers=headers) as response:
                    return await _read(response, settings)
    except TimeoutError:
        raise _failed(
            settings, "the language model takes too long", f"{settings.timeout:g} s are over"
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        why = show(f"{type(error).__name__}: {error}", secret=settings.key)
        raise _failed(settings, "the language model cannot be reached", why) from None


async def _read(response: httpx2.Response, settings: Settings) -> str:
    status = response.status_code
    if 300 <= status < 400:
        to = urlsplit(response.headers.get("Location", "")).netloc
        why = f"status {status}, to {show(to)}" if to else f"status {status}"
        raise _failed(settings, "the address of the language model is redirected", why)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _malformed(settings, "it is compressed, which was not asked for")
    raw = bytearray()
    async for part in response.aiter_raw():
        raw += part
        if len(raw) > _MOST_BYTES:
            raise _malformed(settings, f"it is longer than {_MOST_BYTES:,} bytes")
    if status != 200:
        what = {401: "refuses the key", 403: "refuses the key", 429: "has too much to do"}
        text = show(raw.decode("utf-8", "replace"), secret=settings.key)
        raise _failed(
            settings,
            f"the service of the language model {what.get(status, 'refuses')}",
            f"status {status}: {text}" if text else f"status {status}",
        )
    return _content(bytes(raw), settings)


def _content(raw: bytes, settings: Settings) -> str:
    """Return the answer in a chat completion."""
    try:
        data: Any = json.loads(raw)
    except (ValueError, RecursionError):
        shown = show(raw.decode("utf-8", "replace"), secret=settings.key)
        raise _malformed(settings, f"it is no JSON: {shown}") from None
    try:
        content = data["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        content = None
    if not isinstance(content, str):
        shown = show(raw.decode("utf-8", "replace"), secret=settings.key)
        raise _malformed(settings, f"it has no choices[0].message.content: {shown}")
    # JSON can spell half a character, which no text may hold that is to be sent back.
    return content.encode("utf-8", "replace").decode()


def _pause(retry_after: str) -> float:
    """Return for how long a service asks to be left alone: seconds, or until a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after[:9])
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return _PAUSE


def _failed(settings: Settings, what: str, why: str) -> KerbstoneError:
    return MissingError(
        "model-service",
        what,
        where=settings.place,
        why=why,
        remedy="check KERBSTONE_LLM_URL, _MODEL and _KEY, or write the query in the language",
    )


def _malformed(settings: Settings, why: str) -> KerbstoneError:
    return InputError(
        "model-reply",
        "the service's answer is no chat completion",
        where=settings.place,
        why=why,
        remedy="check that KERBSTONE_LLM_URL is the address of a chat-completions service",
    )


def _unusable(what: str, where: str, why: str = "") -> UsageError:
    return UsageError("config", f"language model: {what}", where=where, why=why)
