"""Training: the networks of both papers, the data, the losses and the command that makes a checkpoint."""
