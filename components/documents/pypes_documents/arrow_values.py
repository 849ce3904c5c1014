"""Values of Parquet and Arrow as those that JSON has as well."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from pypes_documents.dates import duration, moment


def value_of(value: Any) -> Any:
    """A value that JSON has as well, bytes apart."""
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, list):
        return [value_of(each) for each in value]
    if isinstance(value, dict):
        return {str(name): value_of(each) for name, each in value.items()}
    return str(value)


def _moment(at: datetime) -> str:
    """A moment in the form of the vocabulary, with its fraction of a second if it has one."""
    found = moment(at) or at.isoformat()
    return f"{found.removesuffix('Z')}.{at.microsecond:06}".rstrip("0") + "Z" if at.microsecond else found
