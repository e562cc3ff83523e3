"""The sweep's page in a real browser: the slider moves the front, and nothing complains."""

import pytest
from chromium import set_width
from report_helpers import open_page

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.sweep import sweep
from ridgepoint.report.sweep import sweep_page


@pytest.fixture(scope="module")
def swept():
    return sweep([load(name) for name in list_models("mobile*")])


@pytest.fixture(scope="module")
def page(swept, tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    path.write_text(sweep_page(swept), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, page):
    open_page(browser, page.as_uri(), width=1280)
    return browser


def wait_until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10, poll_frequency=0.02).until(condition)


def text(browser, name):
    return browser.find_element("id", name).text


def test_nothing_is_fetched(page):
    content = page.read_text(encoding="utf-8")
    start = content.index('<script type="application/json"')
    own = content[:start] + content[content.rindex("<script>") :]  # what is between is data, and plotly itself
    assert "http://" not in own
    assert "https://" not in own
    assert "src=" not in own


def test_the_slider_moves_the_front(opened, swept):
    from selenium.webdriver.common.keys import Keys

    def expected(index):
        on = [each for each in swept.networks if each.on_front[index]]
        return [each.network.name for each in sorted(on, key=lambda each: each.times_macs[index])]

    slider = opened.find_element("id", "ridge")
    seen = []
    for key, ridge in ((Keys.HOME, 0), (Keys.END, 500)):
        slider.send_keys(key)
        wait_until(opened, lambda _, ridge=ridge: text(opened, "value") == str(ridge))
        assert ", ".join(expected(ridge)) in text(opened, "told")
        line = opened.execute_script("return document.getElementById('scatter').data[0].x")
        assert line == pytest.approx(sorted(line))
        assert len(line) == len(expected(ridge))
        seen.append(text(opened, "told"))
    assert seen[0] != seen[1]
    for ridge in range(0, 501, 50):  # the page's own sums are ours
        assert opened.execute_script(f"return sweep.front({ridge})") == expected(ridge)
    ours = swept.networks[-1]
    theirs = opened.execute_script("return sweep.time(arguments[0], 120)", ours.network.name)
    assert theirs == pytest.approx(ours.times_macs[120], rel=1e-9)
    assert [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_every_accuracy_says_whose_it_is(opened, swept):
    cells = opened.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].map(r => [...r.cells].map(cell => cell.innerText))"
    )
    rows = {name: rest for name, *rest in cells}
    assert len(rows) == len(swept.networks)
    _, top1, share, _, _, taught, source, in_float, licence = rows["mobilenetv4_conv_small"]
    assert (top1, taught, in_float, licence) == ("73.8", "ImageNet-1k only", "nothing", "Apache-2.0")
    assert share.endswith("%") and source == "MobileNetV4, arXiv:2404.10518 v2, Table 6"
    assert rows["mobilenetv3_small_100"][7] == "hard_sigmoid, hard_swish"
    said = opened.execute_script(
        "return document.getElementById('scatter').data.flatMap((each) => each.customdata ?? [])"
    )
    assert set(said) == {each.network.name for each in swept.networks if each.top1 is not None}


def test_a_device_and_a_network_can_be_chosen(opened):
    opened.find_element("xpath", "//*[@id='devices']//button[contains(., 'pixel4-dsp')]").click()
    wait_until(opened, lambda _: text(opened, "value") == "347.3")
    opened.find_element("xpath", "//*[@id='networks']//button[.='mobilenetv2_100']").click()
    wait_until(opened, lambda _: text(opened, "name").startswith("mobilenetv2_100"))
    assert "At 347.3 MACs/byte 65 of 65 passes are memory-bound" in text(opened, "summary")
    assert len(opened.find_elements("css selector", "#passes tbody tr")) == 65
    assert opened.get_log("browser") == []


def test_a_click_on_a_mark_shows_its_network(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    point = """
        const figure = document.getElementById("scatter"), name = "mobilenetv1_100";
        const trace = figure.data.find((each) => each.customdata && each.customdata.includes(name));
        const index = trace.customdata.indexOf(name), { xaxis, yaxis } = figure._fullLayout;
        const { left, top } = figure.getBoundingClientRect();
        return [left + xaxis._offset + xaxis.d2p(trace.x[index]), top + yaxis._offset + yaxis.d2p(trace.y[index])];
    """
    opened.execute_script("document.getElementById('scatter').scrollIntoView({ block: 'center' })")
    left, top = opened.execute_script(point)
    actions = ActionChains(opened)
    actions.w3c_actions.pointer_action.move_to_location(round(left), round(top))
    actions.click().perform()
    wait_until(opened, lambda _: text(opened, "name").startswith("mobilenetv1_100"))


def test_no_sideways_scrolling(browser, page):
    open_page(browser, page.as_uri(), width=390)
    for width in (390, 1280):
        set_width(browser, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
