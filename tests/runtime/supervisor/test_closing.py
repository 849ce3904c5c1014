import asyncio
import socket
import sys

import pytest

from pypes.runtime.supervisor.closing import let_in_no_more, waiting
from pypes.testing.node import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filter for listeners is Linux's")


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_who_is_there_is_accepted_and_nobody_else_gets_in(family: socket.AddressFamily, host: str) -> None:
    async def main() -> None:
        with socket.create_server((host, 0), family=family) as listener:
            early = [socket.create_connection(listener.getsockname()[:2], timeout=5) for _ in range(3)]
            until(lambda: waiting(listener) == 3, 5, "three wait")
            closing = asyncio.ensure_future(let_in_no_more(listener))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                socket.create_connection(listener.getsockname()[:2], timeout=0.2)
            assert not closing.done()
            for each in early:
                accepted, _ = listener.accept()
                each.sendall(b"late but not lost")
                assert accepted.recv(100) == b"late but not lost"
                accepted.close()
                each.close()
            await closing
            assert waiting(listener) == 0

    asyncio.run(main())


def test_who_is_never_accepted_is_not_waited_for_for_long() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
            async with asyncio.timeout(30):
                await let_in_no_more(listener)
            assert waiting(listener) == 1

    asyncio.run(main())
