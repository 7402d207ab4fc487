"""What the README's figures of speed come from: one command a table, ratios measured within one run."""
