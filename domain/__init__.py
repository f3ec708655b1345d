"""What may happen and what has happened: pure rules, no input or output."""
