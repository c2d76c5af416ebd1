"""Training: which loop runs which data, and the programs that take the steps."""
