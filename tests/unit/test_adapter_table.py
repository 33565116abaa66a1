"""The table of laws in the documentation is that of the suite."""

import ast

from law_table import laws_of, sentence
from stream_process import ROOT

SUITE = ("test_vector_index*.py", "test_index_catalog_laws.py", "test_mark_bin_laws.py")


def test_the_document_has_every_law_of_the_index_suite_and_no_other():
    laws = {
        sentence(node.name)
        for pattern in SUITE
        for file in (ROOT / "tests" / "adapters").glob(pattern)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    documented = laws_of((ROOT / "docs" / "index-adapters.md").read_text(encoding="utf-8"))
    assert documented == laws, "run `make adapter-table`"
