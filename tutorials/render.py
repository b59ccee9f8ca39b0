"""Renders the tutorials as notebooks, executed, with their pictures, into `tutorials/notebooks`.

    make notebooks                        # those whose source has changed
    python tutorials/render.py 04 05      # some

A tutorial is a Python file in the form of Keras' guides: texts in Markdown as strings of the module, code between them. A
notebook notes which source it was made of; `is_current` compares, without running anything.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NOTEBOOKS = HERE / "notebooks"
TUTORIALS = sorted(HERE.glob("[0-9]*.py"))
SECONDS = 1200
PICTURES = "--InteractiveShellApp.matplotlib=inline"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
NOISE = re.compile(r"^(WARNING: All log messages|[IWEF]\d{4,} ).*\n?", re.MULTILINE)
"""What TensorFlow's C++ says at its start."""


def cells(source: str) -> list[tuple[str, str]]:
    """The texts and the code between them, as (`"markdown"` or `"code"`, text) in order."""
    lines, found, done = source.splitlines(), [], 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found += [("code", "\n".join(lines[done : node.lineno - 1])), ("markdown", node.value.value)]
            done = node.end_lineno or node.lineno
    found.append(("code", "\n".join(lines[done:])))
    title = re.sub(r"^Title: (.*)\nDescription: (.*)$", r"# \1\n\n\2", found[1][1].strip())
    found[1] = "markdown", title
    return [(kind, text.strip()) for kind, text in found if text.strip()]


def fingerprint(source: str) -> str:
    """What a notebook notes of its source."""
    return hashlib.sha256(source.encode()).hexdigest()


def notebook_of(tutorial: Path) -> Path:
    """Where the notebook of a tutorial is."""
    return NOTEBOOKS / f"{tutorial.stem}.ipynb"


def is_current(tutorial: Path) -> bool:
    """Whether there is a notebook that was made of this very source."""
    path = notebook_of(tutorial)
    if not path.exists():
        return False
    return bool(json.loads(path.read_text())["metadata"].get("source") == fingerprint(tutorial.read_text()))


def render(tutorial: Path) -> None:
    """Runs a tutorial cell by cell and writes its notebook."""
    import nbformat
    from nbclient import NotebookClient

    source = tutorial.read_text()
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    made = [make[kind](text, id=f"cell{number}") for number, (kind, text) in enumerate(cells(source))]
    notebook = nbformat.v4.new_notebook(cells=made)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"resources": {"metadata": {"path": folder}}, "extra_arguments": [PICTURES]}
        NotebookClient(notebook, timeout=SECONDS, record_timing=False, coalesce_streams=True, **settings).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.update({"text": NOISE.sub("", output.text)} if output.output_type == "stream" else {})
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("text", "-").strip()]
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "source": fingerprint(source)}
    NOTEBOOKS.mkdir(exist_ok=True)
    notebook_of(tutorial).write_text(nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    for each in TUTORIALS:
        if each.name.startswith(tuple(sys.argv[1:])) if sys.argv[1:] else not is_current(each):
            print(each.name, flush=True)
            render(each)
