"""What a prior did in a study or an experiment, in numbers: no pictures, no tuner. For authors of adapters."""
