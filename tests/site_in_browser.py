"""Look at a built documentation site in Chromium: `python -m tests.site_in_browser FOLDER`; CI does it after building the site.

Pages are opened as files, at desktop and phone width, light and dark: nothing is loaded from other hosts, nothing is wider than the
page, axe finds nothing serious, no script fails, and the search finds what a reader looks for.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

PAGES = ("index", "start", "recipes", "gallery", "study_file", "degradations", "api", "cli", "concepts")
WIDTHS = (1400, 390)
SCHEMES = ("light", "dark")
OPTIONS = {"resultTypes": ["violations"]}
"""Of axe: what passes is not listed, which takes as long as looking for it."""
SEARCHED = ("equivalence margin", "What a report claims")
"""Words that are searched, and the title of a page that is among the results."""


def problems(browser: Browser, site: Path, width: int, scheme: str) -> list[str]:
    """Return a line for each fault of the pages at a width and in a colour scheme."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, faults = context.new_page(), []
    page.on("request", lambda request: request.url.startswith("http") and faults.append(f"loads {request.url}"))
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_selector(".md-search__input", state="attached")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults.append(f"{name} is wider than {width} pixels")
        serious = [
            v for v in Axe().run(page, options=OPTIONS).response["violations"] if v["impact"] in ("serious", "critical")
        ]
        place = f"{name}, {width} pixels, {scheme}"
        faults += [f"{place}: {violation['id']}: {violation['nodes'][0]['html'][:200]}" for violation in serious]
    if width == WIDTHS[0]:
        words, title = SEARCHED
        page.keyboard.press("/")
        page.keyboard.type(words)
        results = page.locator(".md-search-result__item", has_text=title)
        results.first.wait_for(timeout=30_000)
    context.close()
    return faults


def main(site: Path) -> int:
    """Print the faults of a site and return the exit code."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        faults = [fault for width in WIDTHS for scheme in SCHEMES for fault in problems(browser, site, width, scheme)]
        browser.close()
    print("\n".join(faults) or "the site looks as it should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
