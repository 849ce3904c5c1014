"""Object stores: buckets of S3, Google Cloud and Azure, by their addresses, and the meaning of their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from pypes.errors import ComponentError

#: Addresses of buckets. Folders of the machine are for Files, which keeps to where paths may lead.
ADDRESS: Final = r"^(s3|s3a|gs|az|azure|abfss?)://[^/]+"
CONNECT_S: Final = 10
#: Of what a store answers, so much is told.
MAX_REASON: Final = 600


def opened(url: str, options: Mapping[str, str], timeout_s: float) -> Any:
    """The store at an address (``obstore.store.ObjectStore``); raises what obstore raises for options that it does not know."""
    from obstore.store import from_url

    make: Any = from_url  # its types know each option by its name
    endpoint = options.get("endpoint") or options.get("aws_endpoint") or ""
    return make(
        url,
        config=dict(options),
        client_options={
            "timeout": f"{timeout_s:g}s",
            "connect_timeout": f"{min(timeout_s, CONNECT_S):g}s",
            "allow_http": endpoint.startswith("http://"),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=timeout_s)},
    )


@contextmanager
def told(redact: Callable[[str], str]) -> Iterator[None]:
    """Tell errors of a store as errors of a run, without secrets."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        said = redact(str(error).partition("\n\nDebug source")[0].strip())
        said = said if len(said) <= MAX_REASON else f"{said[:MAX_REASON]} …"
        raise ComponentError(f"the object store cannot be asked: {said}", code="s3.failed") from error
