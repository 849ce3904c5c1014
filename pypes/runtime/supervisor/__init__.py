"""The supervisor: the port, the processes, what it is asked for, and when sources run."""
