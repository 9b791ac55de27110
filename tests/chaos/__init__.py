"""Servers and workers as processes that are killed, stopped and started while clients read on."""
