"""What happened: events as bytes, the chain, the locked log. Knows nothing of GPUs."""
