"""What is on disk and who owns it: states of runs, leases, creation, survey."""
