"""How people and programs reach the ledger: commands, sentences, tables, JSON."""
