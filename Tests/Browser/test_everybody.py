"""For everybody: the keyboard alone, a screen reader, any eyes, a telephone."""
from case import MANIFEST, DashboardCase

# For each text that is seen, how well it can be told from what is behind it (WCAG 2, "contrast ratio").
CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => [0, 1, 2].map((index) => top[index] * top[3] + below[index] * (1 - top[3]));
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        const color = rgba(getComputedStyle(element).backgroundColor);
        return color[3] === 1 ? color.slice(0, 3) : over(color, behind(element.parentElement));
    };
    const light = (color) => color.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
        if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.closest('.sr, .skip, option')) continue;
        const ground = behind(element), color = over(rgba(getComputedStyle(element).color), ground);
        const [dark, bright] = [light(color), light(ground)].sort((one, other) => one - other);
        const faded = Number(getComputedStyle(element.closest('.card, button') ?? element).opacity);
        found.push([Math.round((bright + 0.05) / (dark + 0.05) * faded * 100) / 100, element.tagName + '.' + element.className + ' ' + text.slice(0, 40)]);
    }
    return found;
}"""


class EverybodyTests(DashboardCase):
    manifest = MANIFEST

    def test_the_keyboard_does_it_all(self):
        self.mesh.emit_all([("user.keys", {"number": f"k{number}"}) for number in range(5)])
        page = self.open("?pattern=user.keys")
        page.wait_for_row("k4")
        press = page.page.keyboard.press
        press("j")
        press("j")
        press("Enter")
        page.page.wait_for_selector("#detail pre:has-text('k3')")
        press("k")
        page.page.wait_for_selector("#detail pre:has-text('k4')")
        press("Escape")
        page.page.wait_for_selector("#detail", state="hidden")
        press("p")
        page.page.wait_for_selector("#link[data-state=paused]")
        self.mesh.emit("user.keys", {"number": "k5"})
        page.page.wait_for_selector("#link-text:has-text('Paused, 1 new')")
        self.assertFalse(any("k5" in row for row in page.rows()))
        press("p")
        page.wait_for_row("k5")
        press("/")
        self.assertEqual(page.evaluate("() => document.activeElement.id"), "text")
        press("Escape")
        press("?")
        page.page.wait_for_selector("#help[open]")
        press("Escape")
        press("c")
        page.wait_for_address("")
        press("t")
        self.assertEqual(page.evaluate("() => document.documentElement.dataset.theme"), "light")

    def test_tab_reaches_everything_and_the_focus_is_seen(self):
        self.mesh.emit("user.tab", {})
        page = self.open_live()
        page.page.wait_for_selector("#legend button")
        reached, unseen = set(), []
        for _ in range(60):
            page.page.keyboard.press("Tab")
            name, is_seen = page.evaluate("""() => { const element = document.activeElement, style = getComputedStyle(element);
                return [element.id || element.className || element.dataset.type || element.tagName, style.outlineStyle !== 'none']; }""")
            if name in reached and name == "skip":
                break
            reached.add(name)
            if not is_seen:
                unseen.append(name)
        self.assertLessEqual({"skip", "pause", "theme", "help-open", "name", "tools-scroll", "pattern", "node", "type", "text",
                              "histogram", "list", "copy-link", "notify", "wall-open", "export-csv", "export-ndjson"}, reached)
        self.assertEqual([name for name in unseen if name != "BODY"], [])
        # The list by the arrows, as a grid; the screen reader is told which row it is on.
        page.page.focus("#list")
        page.page.keyboard.press("ArrowDown")
        page.page.wait_for_selector("#list[aria-activedescendant]")
        active = page.page.get_attribute("#list", "aria-activedescendant")
        self.assertEqual(page.page.get_attribute(f"#{active}", "aria-selected"), "true")

    def test_a_screen_reader_finds_a_name_for_everything(self):
        self.mesh.emit("user.named", {})
        page = self.open_live()
        page.page.wait_for_selector("#legend button")
        page.page.wait_for_selector("#tools .state[data-status=running]")
        page.wait_for_row("user.named")
        page.row("user.named").click()
        page.page.wait_for_selector("#detail pre .key")
        session = page.context.new_cdp_session(page.page)
        nodes = [node for node in session.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        named = {"button", "textbox", "searchbox", "combobox", "link", "grid", "table", "image", "radio", "radiogroup",
                 "group", "region", "complementary", "search", "heading", "columnheader", "rowheader", "figure"}
        roles = [node["role"]["value"] for node in nodes]
        nameless = [node["role"]["value"] for node in nodes
                    if node["role"]["value"] in named and not node.get("name", {}).get("value", "").strip()]
        self.assertEqual(nameless, [])
        for role in ("banner", "main", "grid", "row", "gridcell", "table", "status", "complementary", "search", "radiogroup"):
            self.assertIn(role, roles)

    def test_every_text_can_be_read_in_light_and_in_dark(self):
        self.mesh.emit_all([("user.seen", {"number": 1, "text": "x"}), ("tool.crashed", {"tool": "t", "error": "e"}),
                            ("node.left", {"reason": "enough"}, "gone"), ("node.health", {"status": "degraded"}, "ill")])
        grounds = []
        for scheme in ("light", "dark"):
            page = self.open_live(color_scheme=scheme)
            page.page.wait_for_selector(".card[data-status=left]")
            page.page.wait_for_selector("#legend button[data-type='user.seen']")
            page.row("user.seen").click()
            page.page.wait_for_selector("#detail pre .key")
            found = page.evaluate(CONTRASTS)
            self.assertGreater(len(found), 60)
            self.assertEqual([(ratio, text) for ratio, text in found if ratio < 4.5], [], scheme)
            grounds.append(page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor"))
        self.assertNotEqual(*grounds)

    def test_it_fits_a_phone(self):
        for scheme, width in (("light", 390), ("dark", 320)):
            page = self.open_live(width=width, height=844, has_touch=True, is_mobile=True, color_scheme=scheme)
            self.mesh.emit("user.phone", {"number": f"p{width}", "long": "word " * 80, "unbroken": "x" * 400})
            page.wait_for_row(f"p{width}")
            self.assert_nothing_sticks_out(page, width)
            page.row(f"p{width}").tap()
            page.page.wait_for_selector("#detail pre .key")
            self.assert_nothing_sticks_out(page, width)
            small = page.evaluate("""() => [...document.querySelectorAll('.bar button, .filters button, .filters input, .detail button, .status button')]
                .filter((element) => element.offsetParent && element.offsetHeight < 32).map((element) => element.id || element.textContent)""")
            self.assertEqual(small, [])

    def test_nothing_sticks_out_at_any_width(self):
        for width in (320, 480, 700, 701, 900, 1080, 1081, 1920):
            with self.subTest(width=width):
                page = self.open_live(width=width, height=800)
                page.page.wait_for_selector("#legend button")
                self.assert_nothing_sticks_out(page, width)

    def assert_nothing_sticks_out(self, page, width):
        self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), width)
