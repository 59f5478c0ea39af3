"""What databases refuse, in our errors: which may pass by itself, and which never will."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from workflow_scheduler.core.errors import NotConnected, Rejected, SchedulerError, Unavailable

# Classes and codes of SQLSTATE that another attempt may get past: connection, resources, shutdown, locks, conflicts.
_LATER_CLASSES = ("08", "53", "57P", "58")
_LATER_CODES = frozenset({"40001", "40P01", "55P03", "57014", "25006"})
_LATER_WORDS = ("database is locked", "database table is locked", "deadlock", "lock wait timeout", "interrupted")
_LATER_NUMBERS = frozenset({1040, 1205, 1213, 2002, 2003, 2006, 2013})


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the errors of SQLAlchemy and of drivers into ours; `what` is what failed.

    Raises:
        Unavailable: another attempt may help.
        NotConnected: no connection came about.
        Rejected: the database refuses for good.

    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        raise _of_driver(
            what, error.orig or error, lost=bool(error.connection_invalidated), kind=type(error)
        ) from error
    except SQLAlchemyError as error:
        raise Rejected(f"{what} cannot be run: {_first_line(str(error))}") from error
    except SchedulerError:
        raise
    except (OSError, EOFError) as error:
        raise NotConnected(f"{what} failed: {error}") from error
    except Exception as error:  # drivers raise their own, and encoders whatever they like
        raise _of_driver(what, error, lost=False, kind=type(error)) from error


def _of_driver(what: str, error: BaseException, *, lost: bool, kind: type[BaseException]) -> SchedulerError:
    code, text = _code_and_text(error)
    detail = f"{what} failed: {text}" + (f" (SQLSTATE {code})" if code else "")
    later = lost or code in _LATER_CODES or code.startswith(_LATER_CLASSES)
    later = later or any(word in text.lower() for word in _LATER_WORDS)
    later = later or bool(error.args and error.args[0] in _LATER_NUMBERS if _is_number(error) else False)
    if not code and kind.__name__ in {"InterfaceError", "OperationalError"} and what == "the connection":
        later = True
    return Unavailable(detail) if later else Rejected(detail)


def _is_number(error: BaseException) -> bool:
    return bool(error.args) and isinstance(error.args[0], int)


def _code_and_text(error: BaseException) -> tuple[str, str]:
    """Return the SQLSTATE, if there is one, and the message with its detail."""
    first = error.args[0] if error.args else ""
    if isinstance(first, dict):  # pg8000: the fields of PostgreSQL's answer
        text = str(first.get("M", "")) + (f": {first['D']}" if first.get("D") else "")
        return str(first.get("C", "")), text
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    return str(code), _first_line(str(error))


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:1_000] or "no reason was given"
