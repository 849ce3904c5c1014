"""The page of a node in a real browser: Chromium of the machine, which the extra ``browser`` drives.

Tests are marked ``browser``. ``make test`` leaves them out, ``make test-browser`` runs them. Without Chromium or the extra they
are skipped with the line that installs them; where ``CI`` is set, they fail.
"""
