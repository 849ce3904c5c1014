"""Contracts of the calls between the processes of a node, one for each purpose; see :mod:`pypes.runtime.rpc.contract`."""
