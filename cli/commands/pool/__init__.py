"""The `pool` commands: show, template, check, diff and apply."""
