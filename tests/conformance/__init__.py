"""Clients that others wrote, and the rules that they hold us to."""
