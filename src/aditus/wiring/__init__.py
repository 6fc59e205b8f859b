"""One module per program: the only places that build adapters and join the ports."""
