"""The sweep's page in a real browser: the slider moves the front, and nothing complains."""

import logging
import shutil

import pytest

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.sweep import sweep
from ridgepoint.report.sweep import sweep_page

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
browser_needed = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on the PATH: the sweep's page was NOT opened"
)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --window-size=1280,1600"
)


@pytest.fixture(scope="module")
def swept():
    return sweep([load(name) for name in list_models("mobile*")])


@pytest.fixture(scope="module")
def page(swept, tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    path.write_text(sweep_page(swept), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver():
    selenium = pytest.importorskip("selenium.webdriver", reason="no selenium: the sweep's page was NOT opened")
    from selenium.webdriver.chrome.service import Service

    logging.getLogger("selenium").setLevel(logging.WARNING)
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(driver, page):
    driver.set_window_size(1280, 1600)
    driver.get(page.as_uri())
    driver.get_log("browser")  # what was said on earlier pages
    driver.refresh()
    wait_until(driver, lambda _: driver.execute_script("return document.documentElement.dataset.drawn"))
    return driver


def wait_until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10).until(condition)


def text(browser, name):
    return browser.find_element("id", name).text


def test_nothing_is_fetched(page):
    content = page.read_text(encoding="utf-8")
    start = content.index('<script type="application/json"')
    own = content[:start] + content[content.rindex("<script>") :]  # what is between is data, and plotly itself
    assert "http://" not in own
    assert "https://" not in own
    assert "src=" not in own


@browser_needed
def test_the_slider_moves_the_front(browser, swept):
    from selenium.webdriver.common.keys import Keys

    def expected(index):
        on = [each for each in swept.networks if each.on_front[index]]
        return [each.network.name for each in sorted(on, key=lambda each: each.times_macs[index])]

    slider = browser.find_element("id", "ridge")
    seen = []
    for key, ridge in ((Keys.HOME, 0), (Keys.END, 500)):
        slider.send_keys(key)
        wait_until(browser, lambda _, ridge=ridge: text(browser, "value") == str(ridge))
        assert ", ".join(expected(ridge)) in text(browser, "told")
        line = browser.execute_script("return document.getElementById('scatter').data[0].x")
        assert line == pytest.approx(sorted(line))
        assert len(line) == len(expected(ridge))
        seen.append(text(browser, "told"))
    assert seen[0] != seen[1]
    for ridge in range(0, 501, 50):  # the page's own sums are ours
        assert browser.execute_script(f"return sweep.front({ridge})") == expected(ridge)
    ours = swept.networks[-1]
    theirs = browser.execute_script("return sweep.time(arguments[0], 120)", ours.network.name)
    assert theirs == pytest.approx(ours.times_macs[120], rel=1e-9)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@browser_needed
def test_every_accuracy_says_whose_it_is(browser, swept):
    cells = [[cell.text for cell in row.find_elements("css selector", "td")] for row in
             browser.find_elements("css selector", "#table tbody tr")]  # fmt: skip
    rows = {name: rest for name, *rest in cells}
    assert len(rows) == len(swept.networks)
    _, top1, share, _, _, taught, source, in_float, licence = rows["mobilenetv4_conv_small"]
    assert (top1, taught, in_float, licence) == ("73.8", "ImageNet-1k only", "nothing", "Apache-2.0")
    assert share.endswith("%") and source == "MobileNetV4, arXiv:2404.10518 v2, Table 6"
    assert rows["mobilenetv3_small_100"][7] == "hard_sigmoid, hard_swish"
    said = browser.execute_script(
        "return document.getElementById('scatter').data.flatMap((each) => each.customdata ?? []).map((name) => name)"
    )
    assert set(said) == {each.network.name for each in swept.networks if each.top1 is not None}


@browser_needed
def test_a_device_and_a_network_can_be_chosen(browser):
    next(each for each in browser.find_elements("css selector", "#devices button") if "pixel4-dsp" in each.text).click()
    wait_until(browser, lambda _: text(browser, "value") == "347.3")
    button = next(
        each for each in browser.find_elements("css selector", "#networks button") if each.text == "mobilenetv2_100"
    )
    button.click()
    wait_until(browser, lambda _: text(browser, "name").startswith("mobilenetv2_100"))
    assert "At 347.3 MACs/byte 65 of 65 passes are memory-bound" in text(browser, "summary")
    assert len(browser.find_elements("css selector", "#passes tbody tr")) == 65
    assert browser.get_log("browser") == []


@browser_needed
def test_a_click_on_a_mark_shows_its_network(browser):
    from selenium.webdriver.common.action_chains import ActionChains

    point = """
        const figure = document.getElementById("scatter"), name = "mobilenetv1_100";
        const trace = figure.data.find((each) => each.customdata && each.customdata.includes(name));
        const index = trace.customdata.indexOf(name), { xaxis, yaxis } = figure._fullLayout;
        const { left, top } = figure.getBoundingClientRect();
        return [left + xaxis._offset + xaxis.d2p(trace.x[index]), top + yaxis._offset + yaxis.d2p(trace.y[index])];
    """
    browser.execute_script("document.getElementById('scatter').scrollIntoView({ block: 'center' })")
    left, top = browser.execute_script(point)
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(round(left), round(top))
    actions.click().perform()
    wait_until(browser, lambda _: text(browser, "name").startswith("mobilenetv1_100"))


@browser_needed
@pytest.mark.parametrize("width", [390, 1280])
def test_no_sideways_scrolling(browser, width):
    browser.set_window_size(width, 1000)
    browser.refresh()
    wide, seen = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen
