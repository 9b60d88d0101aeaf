"""Events over time: counted, pressed, brushed, marked."""
from case import DashboardCase

# Pixels with color in a strip of the picture.
COLORED = """([top, bottom]) => {
    const canvas = document.querySelector('#histogram'), scale = devicePixelRatio;
    const { data } = canvas.getContext('2d').getImageData(0, top * scale, canvas.width, (bottom - top) * scale);
    let count = 0;
    for (let index = 3; index < data.length; index += 4) if (data[index] > 200) count += 1;
    return count;
}"""
MARKS, BARS = [0, 11], [14, 78]


# How often an event is counted that the server has counted before it comes, and one that comes before the answer does.
COUNTED_ONCE = """async () => {
    const [{ Histogram }, { Filters }] = await Promise.all([import("/histogram.js"), import("/filters.js")]);
    const histogram = new Histogram(new Filters());
    // An answer to an older question is thrown away.
    const loaded = async () => { do await histogram.load(); while (!histogram.data); };
    await loaded();
    const { through } = histogram.data;
    const count = () => histogram.data.series.find(({ type }) => type === "user.once")?.total ?? 0;
    const time = histogram.data.start + histogram.data.width * (histogram.data.buckets - 1);
    const come = (sequence) => histogram.add({ time, event: { sequence, type: "user.once", node: "n" } });
    const counts = [count()];
    come(through);
    counts.push(count());
    const answer = histogram.load();
    come(through + 1);
    counts.push(count());
    await answer;
    counts.push(count());
    histogram.reset();
    come(1);
    await loaded();
    counts.push(count());
    return counts;
}"""


class HistogramTests(DashboardCase):
    def test_an_event_is_counted_once_whether_it_comes_before_the_answer_or_behind_it(self):
        self.mesh.emit("user.once", {})
        page = self.open_live()
        page.page.wait_for_selector("#legend button[data-type='user.once']")
        self.assertEqual(page.evaluate(COUNTED_ONCE), [1, 1, 2, 2, 1])

    def test_it_is_counted_pressed_and_brushed(self):
        page = self.open_live()
        self.mesh.emit_all([("user.bars", {"number": number}) for number in range(40)])
        legend = "#legend button[data-type='user.bars']"
        page.page.wait_for_selector(f"{legend} >> text=40")
        self.assertIn("40 user.bars", page.page.get_attribute("#histogram", "aria-label"))
        self.assertGreater(page.evaluate(COLORED, BARS), 100)
        page.page.click(legend)
        page.wait_for_address("?type=user.bars")
        page.wait_for_status("^40 events")
        page.page.click(legend)
        page.wait_for_address("")
        # The newest bars are at the right; the empty half before them has no event.
        box = page.page.locator("#histogram").bounding_box()

        def drag(first, last):
            page.page.mouse.move(box["x"] + box["width"] * first, box["y"] + 50)
            page.page.mouse.down()
            page.page.mouse.move(box["x"] + box["width"] * last, box["y"] + 50, steps=5)
            page.page.mouse.up()
        drag(0.1, 0.3)
        page.page.wait_for_selector("#list-empty:not([hidden])")
        self.assertRegex(page.page.url, "since=.*until=")
        drag(0.5, 0.999)
        page.page.wait_for_selector(".row:not([hidden])")
        self.assertTrue(page.page.is_visible("#brush"))
        # A time that is over stays as it is; Escape shows all again.
        address = page.page.url
        self.mesh.emit("user.outside", {})
        page.page.keyboard.press("Escape")
        page.wait_for_address("")
        page.wait_for_row("user.outside")
        # The address is a link to that time, and one can go back to it.
        page.page.go_back()
        page.wait_for_status("^[0-9]+ events")
        self.assertEqual(page.page.url, address)

    def test_the_keyboard_walks_and_selects(self):
        self.mesh.emit("user.key", {}, node="walked")
        page = self.open_live("?node=walked")
        page.page.wait_for_selector("#legend button")
        page.page.focus("#histogram")
        page.page.keyboard.press("ArrowLeft")
        page.page.wait_for_selector("#tip:not([hidden])")
        self.assertRegex(page.page.text_content("#histogram-live"), "^[0-9:]{8} (no events|user.key 1)")
        page.page.keyboard.press("Shift+ArrowRight")
        page.page.wait_for_function("() => location.search.includes('since=')")

    def test_crashes_and_leaves_are_marked(self):
        # In a quarter of an hour in which nothing else crashed.
        page = self.open_live("?node=doomed")
        page.page.wait_for_selector("#histogram[aria-label^='0 events']")
        self.assertEqual(page.evaluate(COLORED, MARKS), 0)
        self.mesh.emit("tool.crashed", {"tool": "t", "error": "signal 11", "restart_count": 1}, node="doomed")
        page.page.wait_for_selector("#histogram[aria-label*='1 crash']")
        one = page.evaluate(COLORED, MARKS)
        self.assertGreater(one, 10)
        self.mesh.emit("node.left", {"reason": "enough"}, node="doomed")
        page.page.wait_for_selector("#histogram[aria-label*='1 leave']")
        page.page.wait_for_selector(".row[data-type='tool.crashed']")
        page.page.wait_for_selector(".row[data-type='node.left']")
        # However many other types there are, they can be pressed.
        self.mesh.emit_all([(f"user.kind{kind}", {}, "doomed") for kind in range(20) for _ in range(3)])
        page.page.wait_for_selector("#legend >> text=more types")
        page.page.click("#legend button[data-type='tool.crashed']")
        page.wait_for_address("?type=tool.crashed&node=doomed")
        page.wait_for_status("^One event")

    def test_what_it_spans_is_chosen(self):
        page = self.open_live()
        page.page.click("#ranges button:has-text('1h')")
        page.wait_for_address("?range=1h")
        page.page.wait_for_selector("#histogram[aria-label*='in the last 1h']")
        page.page.wait_for_selector("#legend >> text=a bar is 30 s")
