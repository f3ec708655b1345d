"""The local stack: PostgreSQL, Temporal and our own processes on one machine, out of wheels."""
