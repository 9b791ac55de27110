"""Tests of the backend for upstreams that speak the Responses API."""
