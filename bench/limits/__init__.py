"""What Aditus must hold by itself, measured with its real programs: `python -m bench.limits`."""
