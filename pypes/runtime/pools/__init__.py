"""Pools of a node: filters that run in processes of the node, or in threads of an instance, rather than in its own thread.

``order`` says what a pool worker is to set up, ``work`` is what runs there. ``proxy`` stands for the filter in an instance.
``node_pools`` owns the processes, in the supervisor; ``keeper_server`` and ``remote_keeper`` are the two ends of the way by which
instances get sockets to them. No packet passes the supervisor.
"""
