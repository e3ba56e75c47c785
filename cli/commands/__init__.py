"""One file a command; `gpuledger.cli.entry` loads the one that is asked for."""
