"""The local mail sink: it takes every letter, delivers none, and shows them in the browser."""
