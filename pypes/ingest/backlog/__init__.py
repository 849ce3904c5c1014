"""Waiting deliveries in memory: streams, order, leases, progress. Pure bookkeeping; no clock, no loop, no store."""
