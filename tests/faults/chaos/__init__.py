"""Chaos: a node under load while all goes wrong around it that can, and a ledger that tells afterwards what was promised.

``ledger`` is what was posted and acknowledged, ``load`` and ``tables`` the clients that do it, ``faults`` and ``connections``
what is done to the node and its surroundings, ``components`` the filters it runs, ``node`` how it is set up, ``memory`` what its
processes take, ``checks`` what must hold when it is over.

The wall clock of the node alone is moved with :class:`pypes.testing.clock.WallClock`: start the node with its ``environ``, then
call ``jump(86_400.0)`` (a day ahead, from now on) and ``set(0.0)`` (right again). Every process of the node sees it within 50 ms;
monotonic time, the destination and the clients keep their clocks.
"""
