"""Outboxes: results that wait on a node until somebody has fetched and acknowledged them.

Instances append to an outbox (:mod:`pypes.outbox.file`), ingest workers give from it (:mod:`pypes.outbox.giving`). Both open the
same SQLite file, one for each outbox, so a result is stored, leased or gone in one transaction, whichever process ends when.
"""
