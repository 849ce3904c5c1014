"""Chaos: a node under load while all goes wrong around it that can, and a ledger that tells afterwards what was promised.

``ledger`` is what was posted and acknowledged, ``load`` the clients that do it, ``faults`` what is done to the node and its
surroundings, ``components`` the filters it runs, ``node`` how it is set up, ``memory`` what its processes take,
``checks`` what must hold when it is over.
"""
