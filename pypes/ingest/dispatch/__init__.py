"""Handing deliveries to instances, within a worker: links to them, room on each, turns, and what follows when one ends."""
