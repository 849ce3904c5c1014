"""Object stores: buckets of S3, Google Cloud and Azure, by their addresses, and the meaning of their errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from pypes import Harmless, Reject, Unreachable
from pypes.component.harmless import ANY
from pypes.errors import ComponentError
from pypes_basic.timing import RETRY_S

#: Addresses of buckets. Folders of the machine are for Files, which keeps to where paths may lead.
ADDRESS: Final = r"^(s3|s3a|gs|az|azure|abfss?)://[^/]+"
#: Names of options without those of files (``*_file``, ``service_account``, ``application_credentials``) and of other places to
#: which what is in such files is sent, be they named by a variable of the environment; each alone, and with ``aws_`` and so on.
_OPTIONS: Final = {
    "aws": (
        *("access_key_id", "secret_access_key", "session_token", "token", "endpoint", "endpoint_url", "bucket", "bucket_name"),
        *("virtual_hosted_style_request", "skip_signature", "unsigned_payload", "checksum_algorithm", "request_payer"),
        *("conditional_put", "copy_if_not_exists", "disable_tagging", "disable_bulk_delete", "s3_express"),
        *("server_side_encryption", "sse_kms_key_id", "sse_bucket_key_enabled"),
    ),
    "google": ("service_account_key", "bucket", "bucket_name", "skip_signature", "base_url", "bearer_token"),
    "azure": (
        *("storage_account_name", "account_name", "storage_account_key", "account_key", "access_key", "storage_access_key"),
        *("storage_client_id", "client_id", "storage_client_secret", "client_secret", "sas_key", "storage_sas_key", "sas_token"),
        *("storage_sas_token", "storage_token", "bearer_token", "token", "endpoint", "storage_endpoint", "use_emulator"),
        *("storage_use_emulator", "container_name", "skip_signature", "disable_tagging"),
    ),
}
#: Regions and tenants become part of addresses: a host of another's is none.
_WORDS: Final = {
    "aws": ("region", "default_region"),
    "azure": ("tenant_id", "storage_tenant_id", "authority_id", "storage_authority_id"),
}
#: The options that lead to no file of the server.
OPTIONS: Final = Harmless(
    options={
        f"{prefix}{name}": pattern
        for lists, pattern in ((_OPTIONS, ANY), (_WORDS, "[A-Za-z0-9-]*"))
        for cloud, names in lists.items()
        for prefix in ("", f"{cloud}_")
        for name in names
    }
)
CONNECT_S: Final = 10
#: Of what a store answers, so much is told.
MAX_REASON: Final = 600
#: Statuses that speak of the bucket, the key or the server rather than of an object. Others are due to the object.
NOT_NOW: Final = (401, 403, 404, 405, 408, 409, 429)
#: Said where a request cannot be made at all, for one of a token file that ends with a line break.
_PANICKED: Final = (
    "no request can be made with these options; look at endpoint, keys and tokens, also in the files that they name"
)
_STATUS: Final = re.compile(r"status code: (\d{3})")


def opened(url: str, options: Mapping[str, str], timeout_s: float) -> Any:
    """The store at an address (``obstore.store.ObjectStore``).

    Raises what obstore raises for options that it does not know, and ``ComponentError`` for those at which it panics.
    """
    from obstore.store import from_url

    make: Any = from_url  # its types know each option by its name
    endpoint = options.get("endpoint") or options.get("aws_endpoint") or ""
    try:
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
    except BaseException as error:
        if not _is_panic(error):
            raise
        names = ", ".join(sorted(options))
        said = f"one of options cannot be given: {names}; leave out those of the connection, such as timeout"
        raise ComponentError(said, code="s3.failed") from None


@contextmanager
def told(redact: Callable[[str], str]) -> Iterator[None]:
    """Tell errors of a store as errors of a run, without secrets."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise ComponentError(f"the object store cannot be asked: {_reason(error, redact)}", code="s3.failed") from error
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise ComponentError(_PANICKED, code="s3.failed") from None


@contextmanager
def published(redact: Callable[[str], str]) -> Iterator[None]:
    """Tell errors of a store as a publisher does: ``Reject`` for what the object is to blame for, ``Unreachable`` otherwise."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        reason, status = _reason(error, redact), _status(error)
        if 400 <= status < 500 and status not in NOT_NOW:
            raise Reject(f"the object store refuses the object: {reason}", "s3.refused_object") from error
        raise Unreachable(RETRY_S, reason) from error
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise Unreachable(RETRY_S, _PANICKED) from None


@contextmanager
def refused(redact: Callable[[str], str]) -> Iterator[None]:
    """Tell errors of a store as set-up does: ``ComponentError`` for what somebody has to mend, ``Unreachable`` otherwise."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        reason, status = _reason(error, redact), _status(error)
        if status in (401, 403):
            rights = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject, or what corresponds to them"
            message = f"the object store refuses: {reason}. Mend options, or give who asks the rights {rights}"
            raise ComponentError(message, code="s3.refused") from error
        if 300 <= status < 500 and (status not in NOT_NOW or status == 404):
            raise ComponentError(f"{reason}. Make the bucket, or mend url and options", code="s3.failed") from error
        raise Unreachable(RETRY_S, reason) from error
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise ComponentError(_PANICKED, code="s3.failed") from None


def _is_panic(error: BaseException) -> bool:
    """True for what obstore raises where Rust panics: no ``Exception``, and of a class that cannot be imported."""
    return type(error).__name__ == "PanicException"


def _status(error: BaseException) -> int:
    """The status that a store answered with, 0 if nothing is known of one."""
    said = str(error)
    found = _STATUS.search(said)
    # S3 redirects to the region of a bucket without saying where that is
    return int(found[1]) if found else 301 if "redirect" in said else 0


def _reason(error: BaseException, redact: Callable[[str], str]) -> str:
    said = redact(str(error).partition("\n\nDebug source")[0].strip())
    return said if len(said) <= MAX_REASON else f"{said[:MAX_REASON]} …"
