"""Write all generated pages: ``python -m scripts.reference``."""

from __future__ import annotations

from scripts.reference import DOCS, PAGES

for name, page in PAGES.items():
    path = DOCS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), encoding="utf-8")
