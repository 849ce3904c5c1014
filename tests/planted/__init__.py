"""A node with five ordinary graphs under load, in which one fault is planted: can a stranger name it from what is shown?

``python -m tests.planted NAME`` plants one, waits until it has shown itself, and writes pictures of the page and the texts of
``pypes top`` and ``pypes status`` into ``docs/.pictures``; ``--hold`` leaves the node to whoever wants to look.
"""
