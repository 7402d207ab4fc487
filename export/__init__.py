"""Export: a checkpoint becomes a model bundle, and a bundle an engine."""
