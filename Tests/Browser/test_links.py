"""The address has all that decides what is shown: a link shows another person the same."""
from urllib.parse import quote

from case import MANIFEST, DashboardCase
from mesh import eventually
from test_strangers import MARKUP


class LinkTests(DashboardCase):
    manifest = MANIFEST

    def shown(self, page):
        """What decides what is seen, as it is seen."""
        return page.evaluate("""() => ({
            pattern: document.querySelector('#pattern').value, node: document.querySelector('#node').value,
            type: document.querySelector('#type').selectedOptions[0].textContent, where: document.querySelector('#where').value,
            text: document.querySelector('#text').value,
            range: document.querySelector('#ranges [aria-checked=true]').textContent,
            link: document.querySelector('#link-text').textContent,
            detail: document.querySelector('#detail:not([hidden]) pre')?.textContent ?? null,
            log: document.querySelector('#logs[open] h2')?.textContent ?? null,
            logText: document.querySelector('#logs-text').value, logStandardError: document.querySelector('#logs-stderr').checked,
            status: document.querySelector('#list-status').textContent })""")

    def test_a_link_shows_the_same(self):
        self.mesh.emit_all([("user.linked.one", {"number": n, "heat": n / 10}, "left") for n in range(9)] + [("user.linked.two", {"heat": 1}, "left")])
        page = self.open_live(permissions=["clipboard-read", "clipboard-write"])
        page.page.fill("#pattern", "user.linked.* user.other")
        page.wait_for_row("user.linked.two")
        page.page.select_option("#node", "left")
        page.page.fill("#where", "heat > 0.2")
        page.page.fill("#text", "linked")
        page.page.click("#ranges button:has-text('1h')")
        page.wait_for_status("^7 events")
        page.page.wait_for_function("() => location.search.includes('text=linked') && location.search.includes('range=1h')")
        page.row("number=5").click()
        page.page.wait_for_selector("#detail pre .key")
        page.page.click("#copy-link")
        page.page.wait_for_selector("#copy-link:has-text('Copied')")
        link = page.evaluate("() => navigator.clipboard.readText()")
        self.assertEqual(link, page.page.url)
        other = self.open(link.removeprefix(self.mesh.page))
        other.wait_until_live()
        other.page.wait_for_selector("#detail pre .key")
        other.wait_for_status("^7 events")
        eventually("the same", lambda: self.shown(other) == self.shown(page))
        self.assertIn('"number": 5', self.shown(other)["detail"])
        self.assertTrue(other.page.is_hidden("#word"))
        self.assertEqual(other.complaints, [])

    def test_a_time_that_is_over_is_in_the_link(self):
        self.mesh.emit("user.timed", {})
        page = self.open("?pattern=user.timed&since=2026-01-01T00:00:00.000Z&until=2026-01-02T00:00:00.000Z")
        page.page.wait_for_selector("#link-text:has-text('Showing')")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        page.page.click("#ranges button:has-text('6h')")
        page.wait_for_address("?pattern=user.timed&range=6h&since=2026-01-01T00%3A00%3A00.000Z&until=2026-01-02T00%3A00%3A00.000Z")

    def test_back_and_forward_go_through_what_was_shown(self):
        self.mesh.emit_all([("user.stepped", {"number": f"s{n}"}) for n in range(3)])
        page = self.open_live("?pattern=user.stepped")
        page.wait_for_row("s2")
        loads = lambda: len([request for request in page.requests if "/api/stream" in request])
        opened = loads()
        page.row("s1").click()
        page.page.wait_for_selector("#detail pre:has-text('s1')")
        page.page.keyboard.press("j")
        page.page.wait_for_selector("#detail pre:has-text('s0')")
        page.page.click("#detail .close")
        page.page.wait_for_selector("#detail", state="hidden")
        # From one event to the next is no step.
        page.page.go_back()
        page.page.wait_for_selector("#detail pre:has-text('s0')")
        page.page.go_back()
        page.page.wait_for_selector("#detail", state="hidden")
        page.page.go_forward()
        page.page.wait_for_selector("#detail pre:has-text('s0')")
        # What is not selected anew is not loaded anew.
        self.assertEqual(loads(), opened)
        page.page.select_option("#node", "tester")
        page.page.wait_for_selector("#detail", state="hidden")
        page.page.go_back()
        page.page.wait_for_selector("#detail pre:has-text('s0')")
        self.assertEqual(page.page.input_value("#node"), "")
        self.assertEqual(page.complaints, [])

    def test_the_log_of_a_tool_has_a_link(self):
        page = self.open_live()
        page.page.locator("#tools .open-log", has_text="broken").click()
        page.page.wait_for_selector("#logs-list li:has-text('out of luck')")
        page.page.fill("#logs-text", "luck")
        page.page.check("#logs-stderr")
        page.wait_for_address("?log=broken&log-node=atelier&log-text=luck&log-stderr=1")
        other = self.open("?log=broken&log-node=atelier&log-text=luck&log-stderr=1")
        other.page.wait_for_selector("#logs-list li:has-text('out of luck')")
        self.assertEqual(other.page.inner_text("#logs-title"), "broken on atelier")
        self.assertEqual(other.page.input_value("#logs-text"), "luck")
        self.assertTrue(other.page.is_checked("#logs-stderr"))
        other.page.click("#logs-close")
        other.wait_for_address("")
        other.page.go_back()
        other.page.wait_for_selector("#logs-list li:has-text('out of luck')")
        self.assertEqual(page.complaints + other.complaints, [])

    def test_what_the_address_has_beyond_that_is_left_out_with_a_word(self):
        self.mesh.emit("user.plain", {})
        markup = quote(MARKUP + "\u202e\u0007")
        page = self.open_live(f"?pattern=user.plain&{markup}={markup}&range=9d&since=yesterday&event=x&wall=yes&node=a&node=b")
        page.wait_for_row("user.plain")
        words = page.page.inner_text("#word-text")
        self.assertIn("does not know a part of its address", words)
        self.assertIn("<script>", words)
        self.assertIn("range=9d", words)
        self.assertLess(len(words), 600)
        self.assertNotIn("\u202e", words)
        self.assertNotIn("\u0007", words)
        self.assertEqual(page.page.input_value("#node"), "")
        self.assertIsNone(page.evaluate("() => window.hacked ?? null"))
        page.page.click("#word-close")
        page.page.wait_for_selector("#word", state="hidden")
        # Too long, too many, half of a pair.
        for query, name in ((f"text={'x' * 2000}", "text=xxx"), ("where=a%3D1&" * 17, "where="), ("log=whisper", "log=whisper"),
                            ("type=user.a&" * 51, "type="), ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since=2026"),
                            ("until=2026-01-01T00:00:00Z", "until=2026")):
            with self.subTest(name=name):
                page = self.open_live("?" + query)
                page.wait_for_row("user.plain")
                self.assertIn(name, page.page.inner_text("#word-text"))
                self.assertLess(len(page.page.inner_text("#word-text")), 200)
                self.assertEqual(page.complaints, [])

    def test_a_link_is_copied_where_a_browser_has_no_clipboard_for_pages(self):
        # As over plain HTTP from another machine.
        page = self.open_live("?node=pi", prepare=lambda context: context.add_init_script("""
            Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined });
            document.addEventListener('copy', () => { window.taken = document.activeElement.value; });"""))
        page.page.keyboard.press("l")
        page.page.wait_for_selector("#copy-link:has-text('Copied')")
        self.assertEqual(page.evaluate("() => window.taken"), page.page.url)
        # Where not even that can be, it can be read.
        page.evaluate("() => { document.execCommand = () => false; }")
        page.page.click("#copy-link")
        page.page.wait_for_selector("#copy-link:has-text('Not copied')")
        self.assertIn(page.page.url, page.page.inner_text("#word-text"))
        self.assertEqual(page.complaints, [])

    def test_what_is_typed_in_one_field_is_kept_when_another_is_taken_first(self):
        self.mesh.emit_all([("user.hasty", {"heat": n}, "left") for n in range(4)])
        page = self.open_live()
        page.page.fill("#where", "heat > 1")
        page.page.fill("#text", "hasty")
        page.wait_for_status("^2 events")
        self.assertEqual(page.page.input_value("#where"), "heat > 1")

    def test_an_event_that_is_gone_is_said(self):
        page = self.open_live("?event=999999999")
        page.page.wait_for_selector("#word-text:has-text('999999999 of this link is no longer in the stream')")
        page.page.wait_for_selector("#detail", state="hidden")
