"""Write the page of clients from the last runs: ``python -m scripts.clients``."""

from __future__ import annotations

from scripts.clients import PAGE, read_results
from scripts.clients.page import page

PAGE.write_text(page(read_results()), encoding="utf-8")
