"""Tests of the backend for the Messages API."""
