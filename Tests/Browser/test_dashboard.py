"""The dashboard in a real browser. `make browser` runs these; see mesh.py for what they start."""
import os
import signal
import time
import unittest

from browser import Browser
from mesh import Mesh, eventually

MANIFEST = """
tools:
  - name: steady
    version: "1.2.0"
    command: [sleep, "600"]
  - name: broken
    version: "0.1.0"
    command: [sh, -c, "echo out of luck >&2; exit 3"]
    restart: never
"""


class DashboardTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.mesh = Mesh(manifest=MANIFEST)
        cls.addClassCleanup(cls.mesh.close)

    def open(self, query="", **options):
        page = self.browser.open(self.mesh.page + query, **options)
        self.addCleanup(page.close)
        return page

    def test_an_event_is_shown_within_a_second(self):
        page = self.open()
        page.wait_until_live()
        for number in range(3):
            self.mesh.emit("user.quick", {"number": f"n{number}"})
            began = time.monotonic()
            page.wait_for_row(f"n{number}", within=1)
            self.assertLess(time.monotonic() - began, 1)

    def test_nodes_and_tools_are_shown_as_they_are(self):
        page = self.open()
        page.page.wait_for_selector(".card[data-status=online] >> text=atelier")
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")
        row = page.page.wait_for_selector("#tools tr:has-text('broken'):has(.state[data-status=crashed])")
        self.assertIn("exit", row.inner_text().lower())
        self.mesh.emit("node.joined", {"capabilities": {"version": "9"}}, node="guest")
        page.page.wait_for_selector(".card >> text=guest")
        self.mesh.emit("node.left", {"reason": "enough"}, node="guest")
        page.page.wait_for_selector(".card[data-status=left]:has-text('Left: enough')")

    def test_filters_and_history_and_the_address(self):
        self.mesh.emit_all([("user.many", {"number": f"m{number:04}"}, "left" if number % 2 else "right")
                            for number in range(900)])
        page = self.open()
        page.wait_until_live()
        page.page.fill("#pattern", "user.many")
        page.wait_for_row("m0899")
        page.page.select_option("#node", "left") if page.page.query_selector("#node option[value=left]") else \
            page.page.goto(self.mesh.page + "?pattern=user.many&node=left")
        page.wait_for_status("^200 events")
        self.assertIn("node=left", page.page.url)
        self.assertTrue(all(" left " in f" {row} " for row in page.rows()), page.rows())
        # To the oldest: what is older is loaded on the way.
        def at_the_end():
            page.evaluate("() => { const list = document.querySelector('#list'); list.scrollTop = list.scrollHeight; }")
            return "that is all there is" in page.page.inner_text("#list-status")
        eventually("the beginning of the history", at_the_end)
        page.wait_for_row("m0001")
        page.wait_for_status("^450 events")
        self.assertLess(len(page.rows()), 100)
        # The text is searched for on the server too.
        page.page.fill("#text", "M0123")
        page.wait_for_row("m0123")
        page.wait_for_status("^1 events")
        page.page.reload()
        page.wait_for_row("m0123")
        self.assertEqual(page.page.input_value("#text"), "M0123")
        page.page.fill("#text", "nothing at all has this")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        page.page.click("#list-empty button")
        page.page.wait_for_function("() => location.search === ''")
        # A pattern that is none is named, and nothing is lost.
        page.page.fill("#pattern", "a..b")
        page.page.wait_for_selector("#pattern-error:not([hidden])")

    def test_the_histogram_is_counted_pressed_and_brushed(self):
        page = self.open()
        page.wait_until_live()
        self.mesh.emit_all([("user.bars", {"number": number}) for number in range(40)])
        legend = "#legend button[data-type='user.bars']"
        page.page.wait_for_selector(f"{legend} >> text=40")
        self.assertIn("40 user.bars", page.page.get_attribute("#histogram", "aria-label"))
        page.page.wait_for_selector("#legend button[data-type='tool.crashed']")
        page.page.click(legend)
        page.page.wait_for_function("() => location.search === '?type=user.bars'")
        page.wait_for_status("^40 events")
        page.page.click(legend)
        page.page.wait_for_function("() => location.search === ''")
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
        self.mesh.emit("user.outside", {})
        page.page.keyboard.press("Escape")
        page.page.wait_for_function("() => location.search === ''")
        page.wait_for_row("user.outside")
        # With the keyboard.
        page.page.focus("#histogram")
        page.page.keyboard.press("ArrowLeft")
        page.page.wait_for_selector("#tip:not([hidden])")
        page.page.keyboard.press("Shift+ArrowRight")
        page.page.wait_for_function("() => location.search.includes('since=')")

    def test_an_event_full_of_markup_is_text(self):
        page = self.open()
        page.wait_until_live()
        before = page.evaluate("() => document.querySelectorAll('script, img, iframe, link').length")
        hostile = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'></pre>"
        # Not one of these is a node or a type that one wants, but each can be.
        self.mesh.emit("user.<img/src=x/onerror=hacked=1", {hostile: hostile, "list": [hostile]}, node=hostile)
        self.mesh.emit("node.joined", {"capabilities": {"version": hostile}}, node=hostile + "2")
        self.mesh.emit("tool.installed", {"tool": hostile, "version": hostile}, node=hostile + "2")
        self.mesh.emit("tool.crashed", {"tool": hostile, "error": hostile, "restart_count": 1}, node=hostile + "2")
        page.wait_for_row("onerror=hacked=1")
        page.page.wait_for_selector("#tools td:has-text('onerror')")
        page.page.locator(".row:not([hidden])", has_text="user.<img").first.click()
        page.page.wait_for_selector("#detail:not([hidden]) pre")
        self.assertIn(hostile, page.page.inner_text("#detail dd >> nth=0"))
        self.assertIn("<script>window.hacked=1</script>", page.page.inner_text("#detail pre"))
        page.page.hover("#histogram")
        self.assertIsNone(page.evaluate("() => window.hacked ?? null"))
        after = page.evaluate("() => document.querySelectorAll('script, img, iframe, link').length")
        self.assertEqual(after, before)
        self.assertEqual(page.complaints, [])

    def test_nothing_is_loaded_from_elsewhere(self):
        page = self.open()
        page.wait_until_live()
        self.assertTrue(all(request.startswith(self.mesh.page) for request in page.requests), page.requests)
        self.assertEqual(page.complaints, [])
        blocked = page.evaluate("""async () => {
            const failed = async (body) => { try { await body(); return false; } catch { return true; } };
            return [await failed(() => fetch('https://example.com/')),
                await failed(async () => { document.body.innerHTML = '<b>x</b>'; }),
                await failed(async () => { document.createElement('script').text = 'window.hacked = 1'; })];
        }""")
        self.assertEqual(blocked, [True, True, True])

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
        page.page.wait_for_function("() => location.search === ''")

    def test_ten_thousand_rows_scroll_without_a_stutter(self):
        self.mesh.emit_all([("user.row", {"number": number, "text": "something to look at " * 3})
                            for number in range(9_500)])
        page = self.open("?pattern=user.row")
        page.wait_until_live()
        def all_are_there():
            page.evaluate("() => { const list = document.querySelector('#list'); list.scrollTop = list.scrollHeight; }")
            return "that is all there is" in page.page.inner_text("#list-status")
        eventually("all rows", all_are_there, within=60)
        longest, elements = page.evaluate("""async () => {
            const list = document.querySelector('#list');
            let last = performance.now(), longest = 0;
            for (let frame = 0; frame < 120; frame += 1) {
                list.scrollTop = (frame * 2347) % list.scrollHeight;
                await new Promise(requestAnimationFrame);
                const now = performance.now();
                if (frame > 5) longest = Math.max(longest, now - last);
                last = now;
            }
            return [longest, document.querySelectorAll('.row').length];
        }""")
        print(f"\n10 000 rows: {elements} elements, longest frame {longest:.0f} ms", flush=True)
        self.assertLess(elements, 120)
        self.assertLess(longest, 150)

    def test_a_dashboard_that_restarts_leaves_no_gap_and_no_repeat(self):
        page = self.open("?pattern=user.away")
        page.wait_until_live()
        self.mesh.emit("user.away", {"number": "a0"})
        page.wait_for_row("a0")
        self.mesh.stop_dashboard(signal.SIGKILL)
        page.page.wait_for_selector("#link-text:has-text('Reconnecting in')")
        self.assertIn("cannot be reached", page.page.inner_text("#problem"))
        self.mesh.emit_all([("user.away", {"number": f"a{number}"}) for number in range(1, 40)])
        self.mesh.start_dashboard()
        page.wait_for_row("a39")
        page.wait_until_live()
        page.wait_for_status("^40 events")
        self.mesh.emit("user.away", {"number": "a40"})
        page.wait_for_row("a40")
        page.wait_for_status("^41 events")

    def test_a_server_of_the_mesh_that_restarts_is_waited_for(self):
        page = self.open("?pattern=user.outage")
        page.wait_until_live()
        for pid in children(self.mesh.server.process.pid, "nats-server"):
            os.kill(pid, signal.SIGKILL)
        eventually("the server", lambda: try_emit(self.mesh), within=20)
        page.wait_for_row("after the outage", within=10)
        page.wait_until_live()

    def test_it_fits_a_phone(self):
        page = self.open(width=390, height=844, has_touch=True, is_mobile=True)
        page.wait_until_live()
        self.mesh.emit("user.phone", {"number": "p1"})
        page.wait_for_row("p1")
        width = page.evaluate("() => document.documentElement.scrollWidth")
        self.assertLessEqual(width, 390)
        page.page.locator(".row:not([hidden])", has_text="p1").first.tap()
        page.page.wait_for_selector("#detail:not([hidden])")
        small = page.evaluate("""() => [...document.querySelectorAll('.bar button, .filters button, .filters input')]
            .filter((element) => element.offsetParent && element.offsetHeight < 32).map((element) => element.id)""")
        self.assertEqual(small, [])


class LoginTests(unittest.TestCase):
    def test_the_token_is_asked_for_and_kept_from_scripts(self):
        browser = Browser()
        self.addCleanup(browser.close)
        mesh = Mesh(token="a token for the tests, quite long")
        self.addCleanup(mesh.close)
        page = browser.open(mesh.page)
        page.page.wait_for_selector("#login[open]")
        page.page.fill("#login-token", "wrong")
        page.page.keyboard.press("Enter")
        page.page.wait_for_selector("#login-error:has-text('not the token')")
        page.page.fill("#login-token", mesh.token)
        page.page.keyboard.press("Enter")
        page.wait_until_live()
        self.assertEqual(page.evaluate("() => document.cookie + JSON.stringify({...sessionStorage, ...localStorage})"), "{}")
        mesh.stop_dashboard()
        mesh.start_dashboard()
        page.page.wait_for_selector("#link[data-state=lost]")
        page.wait_until_live()
        page.page.click("#logout")
        page.page.wait_for_selector("#login[open]")


def children(parent, name):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = open(f"/proc/{entry}/stat").read()
        except OSError:
            continue
        if f"({name})" in status and f") {status.rpartition(')')[2].split()[0]} {parent} " in status:
            found.append(int(entry))
    return found


def try_emit(mesh):
    try:
        mesh.emit("user.outage", {"text": "after the outage"})
        return True
    except AssertionError:
        return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
