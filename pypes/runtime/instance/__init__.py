"""One instance: the process that runs graphs, from its first import to its last acknowledgement."""
