"""The built visual editor of a node, as it is sent to browsers; its source is in ``ui/``."""
