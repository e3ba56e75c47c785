"""What the events mean: state, decisions, snapshots, usage, time travel."""
