"""A pytest plugin that writes the table *law × adapter* from a run of the shared index suite.

    make adapter-table      (pytest -p law_table --law-table docs/index-adapters.md, over the suite's files)

A law is a test that is run once for each adapter; its name is its sentence. The table stands between two marks of the
document, and everything else in there is left as it is. Several runs of one law on one adapter count as passed only
if all of them did.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

BEGIN, END = "<!-- laws: written by `make adapter-table` -->", "<!-- end of the laws -->"
PASSED, FAILED, ABSENT = "✓", "✗", ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--law-table", type=Path, help="The document whose table of laws this run writes.")


def pytest_configure(config: pytest.Config) -> None:
    document = config.getoption("--law-table")
    if document is not None:
        config.pluginmanager.register(LawTable(document))


class LawTable:
    """What became of each law on each adapter."""

    def __init__(self, document: Path) -> None:
        self._document = document
        self._laws: dict[tuple[str, int, str], str] = {}
        self._places: dict[str, tuple[tuple[str, int, str], str]] = {}
        self._outcomes: defaultdict[tuple[str, int, str], dict[str, str]] = defaultdict(dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            parameters = getattr(item, "callspec", None)
            if parameters is None or "catalog" not in parameters.params:
                continue
            law = (item.path.name, item.location[1] or 0, item.name.partition("[")[0])
            self._laws[law] = (item.module.__doc__ or "").partition("\n")[0]  # type: ignore[attr-defined]
            self._places[item.nodeid] = law, str(parameters.params["catalog"])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid not in self._places or (report.when != "call" and report.passed):
            return
        law, adapter = self._places[report.nodeid]
        before = self._outcomes[law].get(adapter, PASSED)
        self._outcomes[law][adapter] = PASSED if report.passed and before == PASSED else FAILED

    def pytest_sessionfinish(self) -> None:
        adapters = sorted({adapter for row in self._outcomes.values() for adapter in row}, key=_order)
        lines: list[str] = []
        chapter = None
        for law in sorted(self._laws):
            if self._laws[law] != chapter:
                chapter = self._laws[law]
                lines += ["", f"**{chapter}**", "", _row(["law", *adapters]), _row(["---", *[":-:"] * len(adapters)])]
            outcomes: Mapping[str, str] = self._outcomes[law]
            lines.append(_row([sentence(law[2]), *(outcomes.get(adapter, ABSENT) for adapter in adapters)]))
        text = self._document.read_text(encoding="utf-8")
        head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
        table = "\n".join(lines)
        self._document.write_text(f"{head}{BEGIN}\n{table}\n\n{END}{tail}", encoding="utf-8")


def sentence(test: str) -> str:
    """``test_a_put_point_is_found`` → ``a put point is found``."""
    return test.removeprefix("test_").replace("_", " ")


def laws_of(document: str) -> set[str]:
    """The laws that a document's table has."""
    table = document.partition(BEGIN)[2].partition(END)[0]
    return set(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)) - {"law", "---"}


def _order(adapter: str) -> tuple[bool, bool, str]:
    """In process first, doubles last."""
    return "double" in adapter, "qdrant" in adapter, adapter


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
