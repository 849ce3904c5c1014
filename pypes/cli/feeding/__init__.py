"""What ``pypes feed`` is made of: files are found (``walking``), read (``loading``), posted (``posting`` by ``asking``),
followed to their end (``following``), and remembered until the next run (``memory``).
"""
