"""Graphs: their model, their JSON form, and the checks that find their faults. Nothing here runs a graph."""
