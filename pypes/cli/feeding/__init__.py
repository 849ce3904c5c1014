"""Parts of ``pypes feed``: files are found (``walking``, ``standard``), read (``loading``), posted (``posting`` by
``asking``), and followed to their end (``following``). ``remembering`` keeps what was fed until the next run (``memory``,
``state``), leaves alone what other folders have (``owners``), and deletes what has vanished (``deleting``, ``earlier``).
"""
