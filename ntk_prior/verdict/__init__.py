"""Spectrum and budget to a verdict: what training reaches, how probable that is, and why."""
