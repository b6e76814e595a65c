"""Hooks of MkDocs: parts of pages that are generated from the code, and the pages that lie outside of docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import evidence
import reference
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site whose text is a file of the repository."""
GENERATED = {**reference.GENERATED, "reference_results": evidence.reference_results}


def on_files(files: Files, config: Any) -> Files:
    """Add the picture of kernels."""
    files.append(File.generated(config, "assets/kernels.png", content=reference.kernel_picture()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in what is generated; links and lists as GitHub reads them, which Python-Markdown does not."""
    path = page.file.src_uri
    if path in COPIED:
        markdown = (ROOT / COPIED[path]).read_text(encoding="utf-8").replace("](docs/", "](")
    markdown = re.sub(r"`([^`\n]*\\\|[^`\n]*)`", lambda span: reference.code(span[1].replace("\\|", "|")), markdown)
    markdown = re.sub(reference.NOT_ON_GITHUB, "", markdown, flags=re.MULTILINE)
    markdown = re.sub(r"<!-- generated: (\w+) -->", lambda marker: GENERATED[marker[1]](), markdown)
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else blank_before_lists(part) for part in parts)


def on_post_page(output: str, **_: Any) -> str:
    """Have the search of pages that are opened as files from this site, not from another host; name its dialog."""
    output = output.replace("https://unpkg.com/iframe-worker/shim", "assets/worker.js")
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">')


def on_post_template(output_content: str, **_: Any) -> str:
    """Change 404.html as pages are changed."""
    return on_post_page(output_content)


def blank_before_lists(text: str) -> str:
    """Return a text with an empty line between a paragraph and a list that follows it."""
    lines: list[str] = []
    in_list = False
    for line in text.split("\n"):
        is_item = re.match(r"(- |\d+\. )", line) is not None
        if is_item and not in_list and lines and lines[-1].strip():
            lines.append("")
        in_list = is_item or (in_list and line.startswith("  "))
        lines.append(line)
    return "\n".join(lines)
