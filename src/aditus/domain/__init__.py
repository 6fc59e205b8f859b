"""Words and rules of Aditus as values and pure functions: no I/O, no clock, no third-party package."""
