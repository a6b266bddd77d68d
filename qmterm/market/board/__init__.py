"""What is known now: the latest value of everything, as columns, and how a stream frame gets there."""
