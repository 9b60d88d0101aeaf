"""The wall: for a screen in the corner, read from afar, for weeks."""
import signal

from case import DashboardCase
from mesh import eventually
from test_everybody import CONTRASTS
from test_strangers import CONTROLS, MARKUP

MANIFEST = """
tools:
  - name: steady
    version: "1.2.0"
    command: [sleep, "600"]
"""


class WallCase(DashboardCase):
    manifest = MANIFEST

    def wait_for_state(self, page, state, words=""):
        page.page.wait_for_selector(f"#wall[data-state={state}] #wall-headline:has-text('{words}')", timeout=30_000)

    def wait_for_last(self, page, kind):
        """Until an event of this kind is shown as the last one; those of nodes come between."""
        def look():
            self.mesh.emit(kind, {"number": 1})
            return f"{kind} of tester" in page.page.inner_text("#wall-last")
        eventually(f"the last event {kind}", look, within=30)

    def lines(self, page):
        return page.evaluate("""() => [...document.querySelectorAll('#wall-lines li:not([hidden])')]
            .map((line) => [...line.children].slice(0, 3).map((part) => part.textContent).filter(Boolean).join(' ') || line.textContent)""")


class WallTests(WallCase):
    def test_trouble_comes_first_and_all_is_well_when_there_is_none(self):
        page = self.open("?wall=1", width=1920, height=1080)
        self.wait_for_state(page, "well", "All well")
        self.assertEqual(page.page.inner_text("#wall-mesh"), "1 of 1 nodes online · 1 of 1 tools running")
        self.wait_for_last(page, "user.last")
        self.assertRegex(page.page.inner_text("#wall-last"), r"^Last event \d\d:\d\d:\d\d, (now|\d+ s ago): [a-z.]+ of (tester|atelier)$")
        for kind, data in [("tool.installed", {"tool": "whisper", "version": "1"}), ("tool.started", {"tool": "whisper"}),
                           ("tool.crashed", {"tool": "whisper", "error": "signal 9", "restart_count": 1})]:
            self.mesh.emit(kind, data, node="pi")
        self.wait_for_state(page, "warn", "1 warning")
        self.mesh.emit("tool.stopped", {"tool": "whisper", "reason": "restart limit"}, node="pi")
        eventually("its end", lambda: not any("backing off" in line for line in self.lines(page)))
        self.mesh.emit("node.health", {"status": "degraded", "resources": {"checks": {"disk": "12 MB free"}}}, node="pi")
        eventually("the node", lambda: "degraded pi" in self.lines(page))
        self.assertEqual(page.complaints, [])

    def test_nothing_is_there_to_press_and_one_key_leads_back(self):
        page = self.open_live()
        page.page.keyboard.press("w")
        page.page.wait_for_selector("#wall:not([hidden])")
        page.wait_for_address("?wall=1")
        self.wait_for_state(page, "well")
        pressed = page.evaluate("""() => [...document.querySelectorAll('button, input, select, a, [tabindex]')]
            .filter((element) => element.checkVisibility({ visibilityProperty: true })).map((element) => element.id)""")
        self.assertEqual(pressed, [])
        self.assertEqual(page.evaluate("() => getComputedStyle(document.querySelector('#wall')).cursor"), "none")
        page.page.keyboard.press("p")
        page.page.mouse.move(300, 300)
        page.page.mouse.move(340, 320)
        page.page.wait_for_selector(".wall .hint", state="visible")
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#list")
        page.wait_until_live()
        page.wait_for_address("")
        # What was filtered before is filtered again, and the list is there.
        self.mesh.emit("user.after", {})
        page.wait_for_row("user.after")
        page.page.go_back()
        page.page.wait_for_selector("#wall:not([hidden])")
        self.assertEqual(page.complaints, [])

    def test_it_is_about_the_whole_mesh_and_keeps_the_filters(self):
        page = self.open("?pattern=user.never&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z&wall=1")
        self.wait_for_state(page, "well")
        self.wait_for_last(page, "user.whole")
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        self.assertEqual(page.page.input_value("#pattern"), "user.never")

    def test_it_holds_nothing_of_what_goes_by(self):
        page = self.open("?wall=1")
        self.wait_for_state(page, "well")
        self.mesh.emit_all([("user.passing", {"number": n}) for n in range(300)])
        self.wait_for_last(page, "user.passing")
        count = "() => document.querySelectorAll('*').length"
        before = page.evaluate(count)
        asked = len(page.requests)
        for number in range(3):
            self.mesh.emit_all([(f"user.passing.{number}.{n}", {"text": "x" * 200}, f"node-{number}-{n}") for n in range(300)])
            self.wait_for_last(page, f"user.passed.{number}")
        self.assertEqual(page.evaluate(count), before)
        self.assertEqual(page.page.locator(".row").count(), 0)
        devtools = page.context.new_cdp_session(page.page)
        devtools.send("Performance.enable")

        def used():
            devtools.send("HeapProfiler.collectGarbage")
            return {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
        first = used()
        self.mesh.emit_all([("user.large", {"text": "x" * 3_000}) for n in range(3_000)])
        self.wait_for_last(page, "user.larger")
        last = used()
        self.assertLess(last["JSHeapUsedSize"] - first["JSHeapUsedSize"], 3 << 20)
        self.assertEqual(last["JSEventListeners"], first["JSEventListeners"])
        self.assertFalse([request for request in page.requests[asked:] if "/api/histogram" in request])


    def test_it_keeps_the_screen_on_and_does_not_burn_in(self):
        locks = """
            window.locks = [];
            Object.defineProperty(Navigator.prototype, 'wakeLock', { value: { request: async (kind) => {
                const lock = { kind, isHeld: true, release: async () => { lock.isHeld = false; lock.onrelease?.(); } };
                window.locks.push(lock);
                return lock;
            } } });
        """
        held = "() => window.locks.filter(({ isHeld }) => isHeld).map(({ kind }) => kind)"
        page = self.open("?wall=1", prepare=lambda context: context.add_init_script(locks))
        self.wait_for_state(page, "well")
        self.assertEqual(page.evaluate(held), ["screen"])
        page.hide(True)
        self.assertEqual(page.evaluate(held), [])
        page.hide(False)
        eventually("the lock", lambda: page.evaluate(held) == ["screen"])
        # The browser takes it back, as when the battery is low.
        page.evaluate("() => window.locks.at(-1).release()")
        page.hide(False)
        eventually("the lock", lambda: page.evaluate(held) == ["screen"])
        where = "() => { const { x, y } = document.querySelector('#wall-picture').getBoundingClientRect(); return [x, y]; }"
        for _ in range(3):
            before = page.evaluate(where)
            page.shift_clock(60)
            eventually("another place", lambda: page.evaluate(where) != before)
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#list")
        self.assertEqual(page.evaluate(held), [])
        self.assertEqual(page.complaints, [])


class StrangeWallTests(WallCase):
    def test_strange_names_are_text_and_everything_fits(self):
        self.mesh.emit_all([("tool.installed", {"tool": MARKUP + CONTROLS, "version": "1"}, "pi"),
                            ("tool.crashed", {"tool": MARKUP + CONTROLS, "error": MARKUP + "x" * 5000, "restart_count": 1}, "pi")]
                           + [("tool.crashed", {"tool": f"tool-{n}" + "y" * 200, "error": "e", "restart_count": 1}, "n" * 300) for n in range(40)])
        for width, height in ((1920, 1080), (1280, 720), (1080, 1920), (390, 844)):
            with self.subTest(width=width):
                page = self.open("?wall=1", width=width, height=height)
                page.page.wait_for_selector("#wall-more:not([hidden])")
                self.assertRegex(page.page.inner_text("#wall-more"), r"^and \d+ more$")
                self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), width)
                self.assertTrue(page.evaluate("""() => { const list = document.querySelector('#wall-lines');
                    return list.scrollHeight <= list.clientHeight && document.documentElement.scrollHeight <= innerHeight; }"""))
                # As large as a hundredth of what is seen from three metres at the least.
                small = page.evaluate("""() => [...document.querySelectorAll('#wall-picture *')].filter((element) => element.childElementCount === 0
                    && element.checkVisibility() && parseFloat(getComputedStyle(element).fontSize) < 0.035 * Math.min(innerWidth, innerHeight)).map((element) => element.id)""")
                self.assertEqual(small, [])
                self.assertEqual([(ratio, text) for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5], [])
                everything = page.evaluate("() => document.querySelector('#wall').textContent")
                for character in "\u001b\u0007\u0000\u202e\u2066\u0085":
                    self.assertNotIn(character, everything, repr(character))
                self.assertLess(len(everything), 20_000)
                self.assertIsNone(page.evaluate("() => window.hacked ?? null"))
                self.assertEqual(page.complaints, [])


class LostWallTests(WallCase):
    def test_it_says_loudly_that_it_is_not_connected_and_comes_back_by_itself(self):
        page = self.open("?wall=1")
        self.wait_for_state(page, "well")
        self.mesh.stop_dashboard(signal.SIGKILL)
        self.wait_for_state(page, "lost", "Not connected")
        self.assertRegex(page.page.inner_text("#wall-detail"), r"What is shown is as of \d\d:\d\d:\d\d, (now|\d+ s ago)\.$")
        self.mesh.start_dashboard()
        self.wait_for_state(page, "well")
        self.wait_for_last(page, "user.afterwards")
        self.assertEqual(page.page.inner_text("#wall-detail"), "")

    def test_a_connection_that_says_nothing_is_not_taken_for_a_live_one(self):
        page = self.open("?wall=1")
        self.wait_for_state(page, "well")
        # As a network that swallows everything: the process stands still, its connections stay.
        self.mesh.dashboard.process.send_signal(signal.SIGSTOP)
        try:
            self.wait_for_state(page, "lost", "Not connected")
        finally:
            self.mesh.dashboard.process.send_signal(signal.SIGCONT)
        self.wait_for_state(page, "well")

    def test_a_dashboard_that_comes_back_with_another_page_is_loaded_anew(self):
        tags = ['"one"']

        def head(route):
            if route.request.method == "HEAD":
                route.fulfill(status=200, headers={"etag": tags[-1]})
            else:
                route.continue_()
        page = self.open("?wall=1", prepare=lambda context: context.route("**/page.css", head))
        self.wait_for_state(page, "well")
        page.evaluate("() => { window.isFormer = true; }")
        self.mesh.restart_dashboard()
        self.wait_for_state(page, "lost")
        self.wait_for_state(page, "well")
        self.assertTrue(page.evaluate("() => window.isFormer"))
        tags.append('"two"')
        self.mesh.restart_dashboard()
        page.page.wait_for_function("() => !window.isFormer && document.querySelector('#wall').dataset.state === 'well'", timeout=30_000)
        page.wait_for_address("?wall=1")
