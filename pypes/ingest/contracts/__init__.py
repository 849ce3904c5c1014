"""The services of a queue, as small contracts. A caller depends on the contract it needs, and on no implementation.

=================  =================================================  ==========================================
contract           what it is for                                     who uses it
=================  =================================================  ==========================================
``intake``         deliveries in, durable before they are confirmed   the HTTP interface
``leasing``        deliveries out, each settled once                  the dispatcher
``receipts``       what became of deliveries and documents            ``/receipts``
``letters``        dead letters: found, changed, replayed             ``/deadletters``
``callbacks``      finished receipts that are to be posted            the callback service of a worker
``cursors``        how far sources have come                          the sources of a worker
``blobs``          bodies too large for memory                        reception, intake, replays
``audited``        who has changed letters and runs of sources        ``/audit``
=================  =================================================  ==========================================

All are used within one asyncio event loop. What may have to wait, for a disk or for another machine, is a coroutine or returns
a future; a plain method returns at once.
"""
