"""What fires now: the strip above the mesh."""
import signal

from case import DashboardCase
from test_everybody import CONTRASTS
from test_strangers import CONTROLS, MARKUP

RULES = """
notify:
  phone: {command: ["true"]}
alerts:
  - {name: tool-down, when: tool.crashed, where: {tool: whisper}, count: 2, within: 10m, resolve: tool.started, severity: critical, to: [phone]}
  - {name: strange, when: user.strange, group: [who], severity: warning, to: [phone]}
  - {name: noted, when: user.noted, group: [number], severity: info}
"""


class AlertCase(DashboardCase):
    """A mesh that a process watches."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.mesh.directory / "alerts.yaml").write_text(RULES)
        cls.watching = cls.mesh.start("alert", "run", "--config", str(cls.mesh.directory / "alerts.yaml"), "--nats", cls.mesh.url)
        cls.watching.wait_for("watch")

    def lines(self, page):
        """What stands in the strip: severity, rule, what it is about."""
        return page.evaluate("""() => [...document.querySelectorAll('#alerts:not([hidden]) .alert')]
            .map((line) => ['.severity', '.rule', '.about'].map((name) => line.querySelector(name).textContent).join(' '))""")

    def wait_for_line(self, page, text):
        page.page.wait_for_selector(f".alert:has-text('{text}')")


class AlertTests(AlertCase):
    def test_what_fires_is_shown_until_it_is_over_and_leads_to_its_events(self):
        page = self.open_live()
        page.page.wait_for_selector("#alerts", state="hidden")
        for number in (1, 2):
            self.mesh.emit("tool.crashed", {"tool": "whisper", "error": "exit status 9", "restart_count": number}, node="pi")
        self.wait_for_line(page, "tool-down")
        self.assertEqual(self.lines(page), ["critical tool-down whisper on pi"])
        self.assertIn("exit status 9", page.page.inner_text(".alert .reason"))
        self.assertEqual(page.page.inner_text(".alert .times"), "×2")
        self.assertTrue(page.page.title().startswith("(1) "))
        self.assertEqual(page.page.inner_text("#alerts-told"), "An alert fires: critical tool-down whisper on pi")
        page.wait_for_row("alert.fired")
        self.assertRegex(page.row("alert.fired").inner_text(), r"rule=tool-down\s+severity=critical")
        # With the keyboard alone: the events of that tool, the newest of those that counted open.
        page.page.focus(".alert .rule")
        page.page.keyboard.press("Enter")
        page.wait_for_address("?node=pi&where=tool+%3D+%22whisper%22")
        page.page.wait_for_selector("#detail pre:has-text('exit status 9')")
        self.mesh.run("alert", "ack", "tool=whisper")
        page.page.wait_for_selector(".alert[data-quiet=yes] .quiet:has-text('acknowledged')")
        self.assertEqual(page.page.title(), "mesh-events")
        self.mesh.run("alert", "silence", "tool-down", "--for", "2h", "--reason", "new disk")
        # Another page, and one whose dashboard was away, are told the same.
        second = self.open_live()
        self.wait_for_line(second, "tool-down")
        self.mesh.restart_dashboard()
        second.page.wait_for_selector("#link:not([data-state=live])")
        self.mesh.emit("tool.started", {"tool": "whisper"}, node="pi")
        for one in (page, second):
            one.wait_until_live()
            one.page.wait_for_selector("#alerts", state="hidden")
            self.assertEqual([text for text in one.complaints if "ERR_" not in text], [])


class ManyAlertsTests(AlertCase):
    def test_many_and_strange_ones_are_text_in_few_lines(self):
        page = self.open_live()
        self.mesh.emit_all([("user.strange", {"who": MARKUP + CONTROLS, "error": MARKUP + "x" * 100_000})]
                           + [("user.noted", {"number": f"n{number}"}) for number in range(14)])
        page.page.wait_for_selector("#alerts-more:has-text('and 12 more')")
        self.assertEqual(page.page.locator(".alert").count(), 3)
        self.assertTrue(self.lines(page)[0].startswith("warning strange who <script>window.hacked=1</script>"), self.lines(page))
        page.page.click("#alerts-more")
        self.assertEqual(page.page.locator(".alert").count(), 15)
        self.assertEqual(page.page.get_attribute("#alerts-more", "aria-expanded"), "true")
        everything = page.evaluate("() => document.querySelector('#alerts').textContent + document.title")
        for character in "\u001b\u0007\u0000\u202e\u2066\u0085":
            self.assertNotIn(character, everything, repr(character))
        self.assertLess(len(everything), 20_000)
        for scheme, width in (("light", 1360), ("dark", 1360), ("dark", 390), ("light", 320)):
            with self.subTest(scheme=scheme, width=width):
                other = self.open_live(color_scheme=scheme, width=width)
                self.wait_for_line(other, "strange")
                self.assertLessEqual(other.evaluate("() => document.documentElement.scrollWidth"), width)
                found = [(ratio, text) for ratio, text in other.evaluate(CONTRASTS) if ratio < 4.5]
                self.assertEqual(found, [])
                if width < 700:
                    self.assertLess(other.evaluate("() => Math.max(...[...document.querySelectorAll('.alert')].map((line) => line.offsetHeight))"), 40)
        page.page.click(".alert >> nth=0")
        page.page.wait_for_selector("#list")
        self.assertIsNone(page.evaluate("() => window.hacked ?? null"))
        self.assertEqual(page.complaints, [])


class UnwatchedTests(AlertCase):
    def test_a_process_that_was_killed_is_missed_and_what_fires_is_as_the_last_one_left_it(self):
        page = self.open_live()
        self.mesh.emit("user.noted", {"number": "n1"})
        self.wait_for_line(page, "noted")
        page.page.wait_for_selector("#alerts-unwatched", state="hidden")
        self.watching.stop(signal.SIGKILL)
        page.page.wait_for_selector("#alerts-unwatched:has-text('no sign of life for')", timeout=90_000)
        self.assertIn("node", page.page.inner_text("#alerts-unwatched"))
        again = self.mesh.start("alert", "run", "--config", str(self.mesh.directory / "alerts.yaml"), "--nats", self.mesh.url)
        page.page.wait_for_selector("#alerts-unwatched", state="hidden", timeout=90_000)
        # One that ends by itself gives its lease back.
        again.stop()
        page.page.wait_for_selector("#alerts-unwatched:has-text('as the last one left it')", timeout=90_000)
        self.assertEqual(page.complaints, [])
