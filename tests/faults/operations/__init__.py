"""Operations on documents that are replaced, shrunk, grown, deleted, refused in part and replayed, and a model of what is left.

``authors`` are the clients, and ``model`` says what they may expect of each of their documents at each publisher. ``components``
are the filters of the graphs, ``node`` puts them together, ``readers`` look at the publishers meanwhile and afterwards,
``disturbing`` kills processes, deploys, and sets the clock.
"""
