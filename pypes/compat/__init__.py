"""Names and forms of the libraries from which Pypes descends, for programs that were written for them."""
