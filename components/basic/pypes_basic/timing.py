"""Times that publishers share."""

from __future__ import annotations

from typing import Annotated, Final

from pypes import Help

#: Seconds between two tries to reach a destination.
RETRY_S: Final = 1.0
#: Seconds between two looks, at a server, for documents that have been gone for long enough.
FORGET_INTERVAL_S: Final = 3_600.0
#: Seconds for which a server remembers a document that is gone, unless parameter ``tombstone_s`` says otherwise.
TOMBSTONE_S: Final = 7 * 86_400.0

#: The type of parameter ``tombstone_s``.
TombstoneS = Annotated[
    float, Help("How long it is known of a deleted document that older versions must not come back, in seconds.", ge=0)
]
