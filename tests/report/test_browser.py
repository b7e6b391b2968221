"""The page in a real browser: it draws, it sorts, it plays, it asks nobody for anything."""

import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive a browser")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")


@pytest.fixture(scope="module")
def visit(written):
    """The opened page, with what it asked for and what it complained about."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append(f"dialog: {dialog.message}"))
        page.goto((written / "report.html").as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=60_000)
        yield page
        browser.close()


def until(page, condition):
    """Waits for a condition. Playwright's own wait evaluates text, which the policy forbids."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def test_table_and_plots_are_drawn(visit):
    assert visit.locator("#results tbody tr").count() == 5
    for plot in ("quality", "classes", "stages"):
        box = visit.locator(f"#plot-{plot} svg").bounding_box()
        assert box["width"] > 400 and box["height"] > 100
    assert "arc-8" in visit.locator("#plot-quality").text_content()
    inks = visit.locator("#plot-classes .layer_1_marks text").evaluate_all(
        "all => all.map((t) => t.getAttribute('fill'))"
    )
    assert set(inks) == {"#17202e", "#ffffff"}, (
        "every number in the heat map is written in a colour that can be read"
    )


def test_another_metric_redraws_the_plot(visit):
    before = visit.locator("#plot-quality").text_content()
    visit.select_option("select[data-plot=quality]", "ccds[tiny-clap]")
    until(visit, "document.querySelector('#plot-quality').textContent.includes('ccds')")
    assert visit.locator("#plot-quality").text_content() != before


def test_every_picture_is_decoded(visit):
    visit.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    sizes = visit.evaluate("[...document.images].map((image) => [image.naturalWidth, image.naturalHeight])")
    assert len(sizes) == 25 and all(size == [240, 72] for size in sizes)


def test_a_player_plays_by_keyboard_and_the_next_one_silences_it(visit):
    first, second = visit.locator(".player").nth(0), visit.locator(".player").nth(1)
    first.focus()
    visit.keyboard.press("Enter")
    until(visit, "document.querySelectorAll('audio')[0].currentTime > 0.02")
    assert visit.evaluate("document.querySelectorAll('audio')[0].duration") == pytest.approx(0.3, abs=0.01)
    visit.keyboard.press("ArrowRight")
    assert visit.evaluate("document.activeElement === document.querySelectorAll('.player')[1]")
    visit.keyboard.press("Enter")
    until(visit, "document.querySelectorAll('audio')[1].currentTime > 0.02")
    assert visit.evaluate("document.querySelectorAll('audio')[0].paused")
    assert second.get_attribute("aria-label").startswith("Play ")


def test_a_column_sorts_both_ways_and_what_has_no_value_stays_last(visit):
    def order():
        return visit.locator("#results tbody th").evaluate_all(
            "rows => rows.map((r) => r.firstChild.textContent.trim())"
        )

    header = visit.locator("#results thead th button", has_text="fd[tiny-clap]")
    header.click()
    assert order() == ["recordings", "arc-8", "reference-8", "shuffled", "arc-4"]
    header.click()
    assert order() == ["shuffled", "reference-8", "arc-8", "recordings", "arc-4"]
    assert visit.locator("#results th[aria-sort=descending]").count() == 1


def test_prompts_are_found_by_word(visit):
    visit.fill("#filter", "siren")
    assert 0 < visit.locator(".prompt:visible").count() < 5
    visit.fill("#filter", "")
    assert visit.locator(".prompt:visible").count() == 5


def test_groups_of_columns_can_be_put_away(visit):
    button = visit.locator("#groups button", has_text="Speed")
    button.click()
    assert visit.locator("#results td[data-group=Speed]:visible").count() == 0
    button.click()
    assert visit.locator("#results td[data-group=Speed]:visible").count() == 15


def test_no_other_host_was_asked_and_the_console_is_silent(visit):
    """Last in this module: everything above has been clicked, drawn and played by then."""
    assert all(url.startswith(("file:", "data:", "blob:")) for url in visit.requests)
    assert visit.complaints == []
