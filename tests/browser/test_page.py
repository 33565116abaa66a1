"""The live page in a real browser, over a memory index: searched by keyboard, kept up to date, shown an upgrade."""

import re
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import expect
from query_world import NOW_MS, TEXTS, World, served

from adapters.memory.encoder import HashEncoder
from schemas.chunk_event import Chunk, ChunkEvent
from schemas.identity import DocId, Version, chunk_ids
from serving.keys import ApiKey, digest_of
from serving.pulse import Behind, Signs, Throughput, UpgradeSide, Upgrading
from stream.collection import collection_name
from stream.payload import live_payload
from stream.points import Mark, Put, State

SECRET = "a-key-of-the-tests-alone"
MARKER = "window.neverReloaded = true"


@dataclass
class HeldPulse:
    """Tells what a test holds before it."""

    signs: Signs = field(default_factory=Signs)

    def now(self):
        return self.signs


@pytest.fixture
def world():
    return World()


@pytest.fixture
def serve():
    with ExitStack() as opened:
        yield lambda service: opened.enter_context(served(service))[0].url


def rewrite(world, document, number, text):
    """A new version of a document, with another text."""
    index = world.service().live.current().index
    title, old, section, tenant = TEXTS[document]
    (new_id,), (old_id,) = chunk_ids(DocId(document), [text]), chunk_ids(DocId(document), [old])
    event = ChunkEvent(
        "upsert",
        "docs",
        DocId(document),
        Version(number),
        "lineage",
        title=title,
        fields={"section": section, "year": 2020},
        tenant=tenant,
        source_ts_ms=NOW_MS,
        chunks=(Chunk(new_id, (0, len(text)), text),),
    )
    (vector,) = world.encoder.encode("passage", [text])
    index.write([Put(new_id, Version(number), vector, live_payload(event, 0, event.chunks[0], store_text=True))])
    index.write([Mark(old_id, DocId(document), Version(number), State.REMOVED)])


def hit(page, number=0):
    return page.get_by_role("list", name="Passages found, best first").get_by_role("article").nth(number)


def test_a_search_by_keyboard_alone_shows_marked_words_version_and_age(world, serve, visit):
    world.build()
    visited = visit(serve(world.service()))
    page = visited.page
    box = page.get_by_role("searchbox", name="Search the index")
    expect(box).to_be_focused()
    page.keyboard.type("How do I delete the topics of a broker?")
    page.keyboard.press("Enter")
    first = hit(page)
    expect(first).to_have_accessible_name("Topics")
    expect(first.locator("p mark")).to_have_text(["Delete", "topic", "broker"])
    expect(first.locator("h3 mark")).to_have_text("Topics")
    expect(first.get_by_text("version 1", exact=True)).to_be_visible()
    expect(first.get_by_text(re.compile(r"^age \d+ s$"))).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(3)
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^3 passages in [\d.]+ ms$"))).to_be_visible()

    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("Tab")
    expect(hit(page, 1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(box).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value("How do I delete the topics of a broker?")
    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(0)
    visited.blameless()


def test_what_documents_hold_is_shown_as_text_and_never_as_markup(world, serve, visit):
    world.build()
    rewrite(world, "docs/1", 9, "Delete <img src=x onerror=alert(1)> a <b>topic</b> & more.")
    visited = visit(serve(world.service()), "/#delete%20more%20onerror%20alert%20topic")
    text = hit(visited.page).locator("p.text")
    expect(text).to_have_text("Delete <img src=x onerror=alert(1)> a <b>topic</b> & more.")
    expect(text.locator("mark")).to_have_text(["Delete", "onerror", "alert", "topic", "more"])
    expect(text.locator(":not(mark)")).to_have_count(0)
    visited.blameless()


def test_everything_that_can_be_reached_has_a_role_and_a_name(world, serve, visit):
    world.build()
    pulse = HeldPulse(Signs(upgrade=upgrading("replaying", 0.25)))
    visited = visit(serve(world.service(pulse=pulse)), "/#delete%20a%20topic")
    page = visited.page
    expect(hit(page)).to_be_visible()
    for role, name in [
        ("search", ""),
        ("button", "Search"),
        ("region", "The stream now"),
        ("region", "Upgrade of the encoding"),
        ("progressbar", "Upgrade of the encoding"),
        ("list", "Steps of the upgrade"),
        ("heading", "Passages found"),
        ("link", "Metrics"),
    ]:
        expect(page.get_by_role(role, name=name)).to_have_count(1)
    reachable = page.evaluate("[...document.querySelectorAll('a, button, input, [tabindex]')].length")
    told = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in told
        if not node["ignored"]
        and any(of["name"] == "focusable" and of["value"]["value"] for of in node.get("properties", ()))
        and node["role"]["value"] != "RootWebArea"
    ]
    assert len(focusable) == reachable - 2, "all but the two of the hidden form for a key"
    assert all(name for _, name in focusable), focusable
    visited.blameless()


def test_a_new_version_is_seen_without_reloading_and_keeps_focus_and_place(world, serve, visit):
    world.build()
    visited = visit(serve(world.service()), viewport={"width": 1000, "height": 420})
    page = visited.page
    page.evaluate(MARKER)
    page.keyboard.type("ripe plums in autumn")
    page.keyboard.press("Enter")
    first = hit(page)
    expect(first).to_have_accessible_name("Plums")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    place = page.evaluate("window.scrollY")
    assert place > 0, "the window is too low to show it all"
    rewrite(world, "docs/2", 7, "Ripe plums and sour cherries make jam in autumn.")
    expect(first.locator("p.text")).to_have_text("Ripe plums and sour cherries make jam in autumn.")
    expect(first.get_by_text("updated, was version 2")).to_be_visible()
    expect(first.get_by_text("version 7", exact=True)).to_be_visible()
    expect(first.locator("p mark")).to_have_text(["Ripe", "plums", "autumn"])
    expect(first).to_be_focused()
    assert page.evaluate("window.scrollY") == place
    expect(page.get_by_role("article")).to_have_count(3)
    expect(page.get_by_role("status").filter(has_text="1 passage changed.")).to_have_count(1)
    assert page.evaluate("window.neverReloaded") is True
    visited.blameless()


def test_a_passage_that_is_gone_leaves_and_focus_goes_to_the_next(world, serve, visit):
    world.build()
    visited = visit(serve(world.service()), "/#ripe%20plums")
    page = visited.page
    expect(page.get_by_role("article")).to_have_count(3)
    hit(page).focus()
    next_name = hit(page, 1).locator("h3").inner_text()
    index = world.service().live.current().index
    (gone,) = chunk_ids(DocId("docs/2"), [TEXTS["docs/2"][1]])
    index.write([Mark(gone, DocId("docs/2"), Version(8), State.REMOVED)])
    expect(page.get_by_role("article")).to_have_count(2)
    expect(hit(page)).to_have_accessible_name(next_name)
    expect(hit(page)).to_be_focused()
    visited.blameless()


def test_the_strip_shows_freshness_lag_throughput_and_contract(world, serve, visit):
    contract = world.build()
    world.metrics.searchable(NOW_MS - 40)
    pulse = HeldPulse()
    visited = visit(serve(world.service(pulse=pulse)))
    strip = visited.page.get_by_role("region", name="The stream now")

    def tile(name):
        return strip.locator("dl > div").filter(has=visited.page.get_by_text(name, exact=True)).locator("dd")

    expect(tile("Commit to searchable")).to_have_text(re.compile(r"^40 msmedian · 95 %: 40 ms$"))
    expect(tile("Lag")).to_have_text("–not known here")
    expect(tile("Throughput")).to_have_text("–counted where it is embedded")
    expect(tile("Searchable passages")).to_have_text("30 removed · 0 deleted")
    expect(tile("Contract behind docs")).to_have_text(contract.fingerprint)
    expect(tile("Model")).to_have_text(contract.encoding.model)
    expect(tile("Collection")).to_have_text(collection_name("docs", contract.fingerprint, 1))
    pulse.signs = Signs(Behind(12, 1228), Throughput(31.26, 47.9))
    expect(tile("Lag")).to_have_text("1,24012 to chunk · 1,228 to embed")
    expect(tile("Throughput")).to_have_text("48 /spassages · 31 embedded")
    pulse.signs = Signs(Behind(0, 0), Throughput(0, 0.51))
    expect(tile("Lag")).to_have_text("0all caught up")
    expect(tile("Throughput")).to_have_text("0.5 /spassages · 0 embedded")
    pulse.signs = Signs(Behind(None, 3))
    expect(tile("Lag")).to_have_text("–not known here")
    visited.blameless()


def upgrading(step, done, points=2):
    before = UpgradeSide("docs__one__g1", "one", "model-one", 3)
    return Upgrading("encoding", step, done, before, UpgradeSide("docs__two__g1", "two", "model-two", points))


def test_an_upgrade_is_followed_to_the_contract_behind_the_alias(world, serve, visit):
    old = world.build()
    encoder = HashEncoder(128, salt="new")
    new = world.build(encoder, live=False)
    pulse = HeldPulse()
    visited = visit(serve(world.service(world.encoder, encoder, pulse=pulse)), "/#delete%20a%20topic")
    page = visited.page
    page.evaluate(MARKER)
    contract = page.locator("#contract")
    expect(contract).to_have_text(old.fingerprint)
    panel, bar = page.get_by_role("region", name="Upgrade of the encoding"), page.get_by_role("progressbar")
    expect(panel).to_have_count(0)
    pulse.signs = Signs(upgrade=upgrading("planned", 0, None))
    expect(panel).to_contain_text("not there yet · docs__two__g1")
    expect(panel).to_contain_text("model-one")
    expect(panel).to_contain_text("3 passages · docs__one__g1")
    for step, done, percent in [("planned", 0, 0), ("replaying", 0.428, 42), ("caught up", 1, 100)]:
        pulse.signs = Signs(upgrade=upgrading(step, done))
        expect(bar).to_have_attribute("aria-valuetext", f"{percent} %, {step}")
        expect(bar).to_have_js_property("value", done * 100)
        expect(panel.get_by_text(f"{percent} % · {step}")).to_be_visible()
        expect(panel.locator("[aria-current=step]")).to_have_text(step)
        expect(page.get_by_role("status").filter(has_text=f"Upgrade: {step}.")).to_have_count(1)
    world.catalog.switch_alias("docs", *(collection_name("docs", made.fingerprint, 1) for made in (old, new)))
    pulse.signs = Signs(upgrade=upgrading("cut over", 1))
    expect(contract).to_have_text(new.fingerprint)
    expect(panel.locator("[aria-current=step]")).to_have_text("cut over")
    expect(page.get_by_role("article")).to_have_count(3)
    pulse.signs = Signs()
    expect(panel).to_have_count(0)
    assert page.evaluate("window.neverReloaded") is True
    visited.blameless()


def test_a_service_with_keys_asks_for_one_and_a_refusal_is_told_in_its_words(world, serve, visit):
    world.build()
    keys = (ApiKey("bound", digest_of(SECRET), {"section": ("operations",)}),)
    pulse = HeldPulse(Signs(Behind(1, 2), Throughput(3, 4), upgrading("replaying", 0.5)))
    visited = visit(serve(world.service(keys=keys, pulse=pulse, max_text_chars=4000)), "/#delete%20a%20topic")
    page = visited.page
    page.get_by_label("API key", exact=True).last.fill(SECRET)
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.locator("#lag + small")).to_have_text("this key sees its own alone")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    page.get_by_role("searchbox", name="Search the index").fill("word " * 600)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="shorten it")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)
    assert (visited.violations(), visited.foreign()) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_runs_out_of_a_window_and_texts_stand_out_from_their_ground(world, serve, visit, scheme, width):
    world.build()
    pulse = HeldPulse(Signs(Behind(12, 1228), Throughput(31.26, 47.9), upgrading("replaying", 0.42)))
    visited = visit(
        serve(world.service(pulse=pulse)),
        "/#delete%20a%20topic",
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = visited.page
    expect(page.get_by_role("article")).to_have_count(3)
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRASTS) == []
    assert page.evaluate("document.getAnimations().length") == 0
    visited.blameless()


CONTRASTS = """() => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const part = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const light = ([red, green, blue]) => 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  const ground = element => {
    for (let one = element; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.matches("script")) continue;
    const both = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < 4.5) faint.push(`${texts.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
"""Texts of less than 4.5 : 1 against what is behind them (WCAG 2.2, 1.4.3)."""
