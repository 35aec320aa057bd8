"""Network and summary to a spectrum: what the theory computes. It judges nothing."""
