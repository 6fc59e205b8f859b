"""What is sent through a way, and how it is measured: one module for each load."""
