"""What ``ntk-prior tune`` does: one run, on either engine."""
