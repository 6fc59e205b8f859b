"""The tunnel protocol aditus.v1, sans-I/O: bytes and the time go in, events and bytes come out."""
