"""What happens over time: Temporal workflows keep every "by when", "until" and "again"."""
