"""What waits, in memory: streams, order, leases, progress. Pure bookkeeping; no clock, no loop, no store."""
