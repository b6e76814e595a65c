"""The notebook of the documentation runs from its first cell to its last."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import REPOSITORY


@pytest.mark.real
def test_the_notebook_runs_a_study_loads_it_and_draws_a_figure(tmp_path):
    shutil.copytree(REPOSITORY / "studies", tmp_path / "studies")
    (tmp_path / "docs").mkdir()
    notebook = nbformat.read(REPOSITORY / "docs" / "first_study.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "docs")}}).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert any("image/png" in data for data in shown), "a figure is drawn"
    pages = [data.get("text/html", "") for data in shown]
    assert sum("<table" in page for page in pages) >= 6, "frames, scores and the report's table are tables"
    assert any('class="caption"' in page and "<b>" in page for page in pages), "headline and main table in a cell"
    assert any(page.count("data:image/png") == 4 for page in pages), "LR, two arms and HR side by side"


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(REPOSITORY / "docs" / "first_study.ipynb", as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
