"""The program in the private network: dials out, offers its specs, and dials nothing else."""
