"""The `audit` commands: who held what and when, how much, and whether the record holds."""
