"""All that is particular to PostgreSQL: its driver, time limits, what its errors mean, and whether a commit arrived.

No text of the driver or the server is shown: it may hold what was sent, and comes in the server's language. A password
is shown nowhere.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from napari_cyto.errors import StoreError

CONNECT_S = 10
STATEMENT_S = 600
"""A step of a large import or undo may be one statement of minutes; one that hangs is not waited for any longer."""

ABANDONED_S = 600
"""A program that holds its transaction open and says nothing for so long loses it, and the others go on."""

LOOK_UP_S = 20.0
"""For so long a server that was lost in the midst of a commit is asked whether it arrived."""

_SECRET = frozenset({"password", "sslpassword", "passfile", "sslkey", "oauth_client_secret"})
_KEPT_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
_DRIVERS = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


def parsed(url: str) -> URL:
    """Return the URL of a PostgreSQL database, for the driver that this program uses.

    Raises
    ------
    StoreError
        When it is none, or the driver is not installed.
    """
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(_NO_URL) from None
    if found.drivername not in _DRIVERS or not found.database:
        raise StoreError(_NO_URL)
    if importlib.util.find_spec("psycopg") is None:
        raise StoreError(
            'PostgreSQL needs psycopg, which is not installed; install it with: pip install "napari-cyto[postgresql]".'
        )
    return found.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return what people read of a URL: everything but what is secret."""
    public = {name: value for name, value in url.query.items() if name.lower() not in _SECRET}
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database, public).render_as_string()


def connect(url: URL, busy_seconds: float) -> Engine:
    """Return an engine whose connections wait for nothing without end.

    Parameters
    ----------
    url : URL
        As `parsed` returns it.
    busy_seconds : float
        How long a write waits for that of another program, s.
    """
    limits = {
        "lock_timeout": int(busy_seconds * 1000),
        "statement_timeout": STATEMENT_S * 1000,
        "idle_in_transaction_session_timeout": ABANDONED_S * 1000,
    }
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    own = {"connect_timeout": CONNECT_S, "application_name": "napari-cyto", **_KEPT_ALIVE}
    arguments: dict[str, Any] = {name: value for name, value in own.items() if name not in url.query}
    given = url.query.get("options", "")
    arguments["options"] = f"{options} {given if isinstance(given, str) else ' '.join(given)}".strip()
    return create_engine(
        url.difference_update_query(["options"]),
        isolation_level="REPEATABLE READ",
        connect_args=arguments,
        # A connection that was cut while nobody used it is replaced without a word.
        pool_pre_ping=True,
        hide_parameters=True,
    )


@dataclass(frozen=True)
class CommitWitness:
    """Finds out whether a commit whose answer was cut off has arrived: by the number of its transaction.

    Parameters
    ----------
    engine : Engine
        Of the database.
    place : str
        What messages call it.

    Source
    ------
    PostgreSQL documentation, "Transaction ID and Snapshot Information Functions": ``txid_current``, ``txid_status``.
    """

    engine: Engine
    place: str

    def begin(self, connection: Connection) -> int:
        """Return the number of the transaction that a connection is in."""
        number: int = connection.execute(text("SELECT txid_current()")).scalar_one()
        return number

    def look_up(self, number: int) -> None:
        """Return when transaction ``number`` was committed.

        Raises
        ------
        StoreError
            When it was not, or nobody can say.
        """
        until_s = time.monotonic() + LOOK_UP_S
        while True:
            status = self._status(number)
            if status == "committed":
                return
            if status == "aborted":
                raise StoreError(
                    f"The connection to {self.place} was cut while a step was stored; nothing of it is there, and all "
                    "earlier work is safe: try again."
                )
            if time.monotonic() >= until_s:
                raise StoreError(
                    f"The connection to {self.place} was cut while a step was stored, and the server cannot be asked "
                    "whether it is there; all earlier work is safe: when the server is back, look at the last step of "
                    "the history before you repeat it."
                )
            time.sleep(0.5)

    def _status(self, number: int) -> str | None:
        # What the pool has was cut as well.
        self.engine.dispose()
        try:
            with self.engine.connect() as connection:
                found: str | None = connection.execute(text("SELECT txid_status(:xid)"), {"xid": number}).scalar_one()
                return found
        except DBAPIError:
            return None


def explain(error: BaseException | None, place: str) -> StoreError:
    """Return the sentence for an error of the driver."""
    code = str(getattr(error, "sqlstate", None) or "")
    for start, sentence in _SENTENCES.items():
        if code.startswith(start):
            return StoreError(sentence.format(place=place))
    if code:
        return StoreError(
            f"The project database {place} refused a step (PostgreSQL error {code}); nothing of it was stored."
        )
    said = str(error).casefold()
    for words, sentence in _CONNECTING.items():
        if any(word in said for word in words):
            return StoreError(sentence.format(place=place))
    return StoreError(_UNREACHABLE.format(place=place))


_NO_URL = (
    "Expected the address of a PostgreSQL database, like postgresql://ana@server/smears, got another one; the "
    "password is best left to PGPASSWORD or the file .pgpass."
)
_UNREACHABLE = (
    "The project database {place} cannot be reached; nothing of this step was stored: check the network and whether "
    "the server is running, then try again."
)
_LOGIN = (
    "The server of {place} does not accept this user and password; check both (the password may be in the address, "
    "in PGPASSWORD, or in the file .pgpass)."
)
_NO_DATABASE = "The server of {place} has no such database; check its name, or have it created (createdb)."
_CUT = (
    "The connection to the project database {place} was cut; nothing of this step was stored and all earlier work is "
    "safe: try again."
)
_BUSY = (
    "The project database {place} is being written by another program, which did not finish in time; nothing was "
    "changed: try again, or close the other window."
)
_SENTENCES: Mapping[str, str] = {
    "28": _LOGIN,
    "3D000": _NO_DATABASE,
    "08": _CUT,
    "57P": _CUT,
    "25P": _CUT,
    "55P03": _BUSY,
    "40": _BUSY,
    "57014": f"The project database {{place}} did not finish a step in {STATEMENT_S} s; nothing of it was stored: try "
    "again when the server has less to do.",
    "53100": "The disk of the server of {place} is full; nothing of this step was stored and all earlier work is safe: "
    "have some space freed and repeat it.",
    "53300": "The server of {place} has no connection free; try again, or have its max_connections raised.",
    "53": "The server of {place} is short of memory; nothing of this step was stored: try again.",
    "42501": "The server of {place} does not allow this user to read or write there; ask for the right to it.",
    "25006": "The project database {place} is for reading only (a copy of the real one, perhaps); nothing was stored.",
    "42P01": "There is no project in {place}; create one there, or check the name of the database.",
    "22P05": "The project database {place} cannot hold a letter of this text, for its encoding is not UTF8; nothing of "
    "this step was stored: have the database made with UTF8.",
    "58": "The disk of the server of {place} refused to read or write; nothing of this step was stored.",
    "XX": (
        "The project database {place} is damaged; nothing of this step was stored: contact the administrator of "
        "the server."
    ),
}
_CONNECTING: Mapping[tuple[str, ...], str] = {
    ("password", "authentication", "pg_hba", "role "): _LOGIN,
    ("database ",): _NO_DATABASE,
    ("invalid connection option", "invalid uri", "invalid dsn", "invalid integer"): _NO_URL,
    ("nul (0x00)",): "A text holds a zero byte, which {place} cannot store; type it again.",
    (
        "server closed",
        "connection is lost",
        "terminat",
        "consuming input",
        "is closed",
        "eof detected",
    ): _CUT,
}
