"""What the processes of a node may ask of each other: one contract for each purpose, see :mod:`pypes.runtime.rpc.contract`."""
