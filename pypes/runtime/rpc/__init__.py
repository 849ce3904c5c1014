"""Remote calls between the processes of a node: a transport of lines over unix sockets, and typed contracts on top of it."""

from pypes.runtime.rpc.transport import (
    MAX_CONTROL_BYTES,
    MAX_LINE_BYTES,
    Peer,
    RpcClient,
    RpcServer,
    error_from_obj,
    error_to_obj,
)

__all__ = ["MAX_CONTROL_BYTES", "MAX_LINE_BYTES", "Peer", "RpcClient", "RpcServer", "error_from_obj", "error_to_obj"]
