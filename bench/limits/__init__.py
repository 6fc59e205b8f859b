"""What Aditus must hold by itself, measured with real processes: `python -m bench.limits [NAME …] [--full]`."""
