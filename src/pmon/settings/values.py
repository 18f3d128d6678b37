"""What the value of a setting may look like: text in, value out, or what it should be."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit

from pmon.durations import DAY_S, parse_duration

EVENT_TYPES = (
    "session_started",
    "session_ended",
    "participant_connected",
    "participant_disconnected",
    "track_published",
    "track_unpublished",
    "track_muted",
    "track_unmuted",
    "speaking_started",
    "speaking_stopped",
    "connection_quality",
    "video_state",
    "issue_raised",
    "issue_updated",
    "issue_resolved",
)
"""As ``monitor.events`` has them, which stands above this."""
DATABASES = {
    "sqlite": "history",
    "sqlite+pysqlite": "history",
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgresql+psycopg": "postgres",
}
"""What a history can be kept in, by the scheme of its URL, and the extra that brings it."""
SOME_DATABASE = (
    "should be sqlite:///file.db, sqlite:////absolute/file.db,"
    " or postgresql://user:password@host/database"
)
SHORTEST_TOKEN = 16


def url(text: str) -> str:
    message = "should be ws://host, wss://host, http:// or https://, with an optional port and path"
    parts, host = _split(text, ("ws", "wss", "http", "https"), message)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("should have no user, password, query or fragment")
    if not _is_host(host):
        raise ValueError("should have a valid host name or address")
    return text


def webhook_url(text: str) -> str:
    message = "should be http://host or https://host, with an optional port, path and query"
    parts, host = _split(text, ("http", "https"), message)
    if parts.fragment or not _is_host(host):
        raise ValueError(message)
    return text


def _split(text: str, schemes: tuple[str, ...], message: str) -> tuple[SplitResult, str]:
    """The parts of a URL with one of these schemes, and its host, which is not looked at."""
    if not text.isprintable() or " " in text:
        raise ValueError(message)
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(message) from None
    if parts.scheme not in schemes or not parts.hostname or not port_is_fine:
        raise ValueError(message)
    return parts, parts.hostname


def database(text: str) -> str:
    scheme = text.partition(":")[0]
    if scheme not in DATABASES:
        raise ValueError(SOME_DATABASE)
    extra = DATABASES[scheme]
    needed = ["sqlalchemy", "alembic", *(["psycopg"] if extra == "postgres" else [])]
    if any(find_spec(module) is None for module in needed):
        raise ValueError(f"needs an extra: pip install 'pmon-livekit[{extra}]'")
    names_file = re.fullmatch(r"[a-z+]+:///[^?#:][^?#]*", text) is not None
    is_whole = names_file if extra == "history" else _is_database_url(text)
    if not text.isprintable() or not is_whole:
        raise ValueError(SOME_DATABASE)
    return text


def _is_database_url(text: str) -> bool:
    from sqlalchemy import exc, make_url  # an optional extra, and not for those who need none

    try:
        parts = make_url(text)
    except (exc.ArgumentError, ValueError):
        return False
    return bool(parts.database)


def retention(text: str) -> float:
    if text.lower() == "forever":
        return 0.0
    seconds = parse_duration(text, zero=True, longest_s=36_500 * DAY_S)
    if 0.0 < seconds < DAY_S:  # 90m would not be three months
        raise ValueError("should be 1d or more, such as 90d, or forever")
    return seconds


def identity_key(text: str) -> str:
    if not text.isprintable() or " " in text or len(text) < 16:
        raise ValueError("should be one word of 16 characters or more, which nobody can guess")
    return text


def event_types(text: str) -> frozenset[str]:
    types = frozenset(word.strip().lower() for word in text.split(","))
    unknown = sorted(types - set(EVENT_TYPES))
    if unknown:
        raise ValueError("should be some of " + ", ".join(EVENT_TYPES) + ", with commas")
    return types


def _is_host(text: str) -> bool:
    """An IPv6 address, or a name or IPv4 address whose labels the resolver can take."""
    if ":" in text:
        return re.fullmatch(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,32})?", text) is not None
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*\.?", text) is not None


def credential(text: str) -> str:
    if not text.isprintable() or " " in text:
        raise ValueError("should be one word without spaces or control characters")
    return text


def token(text: str) -> str:
    if len(credential(text)) < SHORTEST_TOKEN:
        raise ValueError(f"should have at least {SHORTEST_TOKEN} characters, for nobody to guess")
    return text


def name(text: str) -> str:
    if not text.isprintable() or len(text) > 128:
        raise ValueError("should be at most 128 printable characters")
    return text


def folder(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should be the path of a folder")
    return text


def host(text: str) -> str:
    if not _is_host(text):
        raise ValueError("should be an address or a host name such as 127.0.0.1")
    return text


def boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "on": True}
    values |= {"false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError("should be true or false (or 1, 0, yes, no, on, off)")
    return values[text.lower()]


def share(text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        raise ValueError("should be a number from 0 to 1")
    return value


def positive_share(text: str) -> float:
    value = _number(text)
    if value is None or not 0 < value <= 1:
        raise ValueError("should be a number above 0 and up to 1")
    return value


def _number(text: str) -> float | None:
    # float() alone also takes "nan", "inf" and "1_0".
    plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if plain else None


def whole(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > most:
            raise ValueError(f"should be a whole number from 0 to {most}")
        return int(text)

    return parse


def workers(text: str) -> int:
    count = whole(64)(text)
    if count == 0:
        raise ValueError("should be a whole number from 1 to 64")
    return count


def size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})(B|KiB|MiB|GiB)", text)
    size = int(found[1]) << {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]] if found else 0
    if size < 1 << 20:
        raise ValueError("should be a size from 1MiB on, such as 512MiB or 1GiB")
    return size


def one_of(*words: str, **also: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = also.get(text.lower(), text.lower())
        if word not in words:
            raise ValueError("should be one of " + ", ".join(words))
        return word

    return parse


def drain_timeout(text: str) -> float:
    return parse_duration(text, zero=True, longest_s=DAY_S)
