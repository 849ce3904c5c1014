"""Handing deliveries to instances, within a worker: links to them, room on each, order, and what follows when one ends."""
