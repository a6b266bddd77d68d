"""What is told: the supervised sockets, their protocol without I/O, and how late data arrive."""
