"""Tests of the backend for OpenAI-compatible upstreams."""
