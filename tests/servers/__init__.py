"""Servers for tests: the real programs, started from packages on free ports of loopback, one of each in a test session.

Tests that use one are marked ``servers`` and lie in a folder ``tests/servers`` of their distribution. ``make test`` leaves them
out, ``make test-servers`` runs them. Where a package is missing they are skipped with the line that installs it; where ``CI`` is
set, they fail.
"""
