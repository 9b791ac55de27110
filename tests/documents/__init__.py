"""Pictures and documents of callers."""
