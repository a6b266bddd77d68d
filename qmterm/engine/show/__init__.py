"""What a screen or a shell may see of the engine, made of its state without changing it."""
