"""Notifications of the browser, when an alert fires."""
from browser import Page
from mesh import eventually
from test_alerts import AlertCase
from test_strangers import CONTROLS, MARKUP

# What the page shows, and what it asks for: a browser without a screen shows no notification.
RECORDED = """
    window.shown = [];
    window.asked = 0;
    window.answer ??= 'granted';
    window.Notification = class {
        static permission = 'default';
        static async requestPermission() { window.asked += 1; return Notification.permission = window.answer; }
        constructor(title, options) {
            if (window.isTelephone) throw new TypeError('Illegal constructor');
            Object.assign(this, options, { title });
            window.shown.push(this);
        }
        close() {}
    };
"""


class NotificationTests(AlertCase):
    def open_recorded(self, script="", query="", **options):
        return self.open_live(query, prepare=lambda context: context.add_init_script(script + RECORDED), **options)

    def turn_on(self, page):
        page.page.click("#notify")
        page.page.wait_for_selector("#notify[aria-pressed=true]")
        # The lock that says which tab tells is given a moment later.
        page.page.wait_for_function("async () => (await navigator.locks.query()).held.length === 1")

    def shown(self, page):
        return page.evaluate("() => window.shown.map(({ title, body, tag }) => [title, body, tag])")

    def test_one_is_shown_for_a_group_and_replaced_when_it_is_over(self):
        # What fires before the page is opened is told by nothing but the strip.
        self.mesh.emit("user.noted", {"number": "before"})
        page = self.open_recorded()
        self.wait_for_line(page, "noted")
        self.assertEqual(page.evaluate("() => window.asked"), 0)
        self.turn_on(page)
        self.assertEqual(page.evaluate("() => window.asked"), 1)
        self.assertIn("shows a notification", page.page.inner_text("#word-text"))
        self.assertEqual(self.shown(page), [])
        # While the tab is hidden, too, and as long as another one needs to fall asleep.
        other = Page(page.context, self.mesh.page)
        other.wait_until_live()
        page.hide(True)
        other.hide(True)
        other.page.wait_for_selector("#link-text:has-text('Asleep')")
        self.assertEqual(page.page.inner_text("#link-text"), "Live")
        for number in (1, 2):
            self.mesh.emit("tool.crashed", {"tool": "whisper", "error": "exit status 9", "restart_count": number}, node="pi")
        shown = eventually("the notification", lambda: self.shown(page))
        self.assertEqual([entry[:2] for entry in shown], [["critical: tool-down", "whisper on pi\nexit status 9"]])
        self.mesh.emit("tool.started", {"tool": "whisper"}, node="pi")
        shown = eventually("its end", lambda: len(found := self.shown(page)) == 2 and found)
        self.assertEqual(shown[1][:2], ["Over: tool-down", "whisper on pi"])
        self.assertEqual(shown[0][2], shown[1][2])
        # A click leads to the events behind it.
        page.hide(False)
        page.evaluate("() => window.shown[0].onclick()")
        page.wait_for_address("?node=pi&where=tool+%3D+%22whisper%22")
        self.assertEqual(page.complaints, [])

    def test_what_strangers_wrote_is_short_and_plain_and_many_are_one(self):
        page = self.open_recorded()
        self.turn_on(page)
        self.mesh.emit("user.strange", {"who": MARKUP + CONTROLS, "error": MARKUP + "x" * 100_000})
        title, body, tag = eventually("the notification", lambda: self.shown(page))[0]
        self.assertEqual(title, "warning: strange")
        self.assertLess(len(body), 2_000)
        for character in "\u001b\u0007\u0000\u202e\u2066\u0085":
            self.assertNotIn(character, body, repr(character))
        self.mesh.emit_all([("user.noted", {"number": f"many{number}"}) for number in range(30)])
        page.page.wait_for_selector("#alerts-more:has-text('more')")
        eventually("all of them", lambda: "alerts fire" in page.page.inner_text("#alerts-told"))
        self.assertLess(len(self.shown(page)), 31)

    def test_it_stays_on_in_this_browser_and_one_tab_of_it_tells(self):
        page = self.open_recorded()
        self.turn_on(page)
        second = page.context.new_page()
        second.goto(self.mesh.page)
        second.wait_for_selector("#link[data-state=live]")
        second.evaluate("() => { Notification.permission = 'granted'; }")
        self.mesh.emit("user.noted", {"number": "tabs"})
        eventually("the notification", lambda: self.shown(page))
        self.assertEqual(second.evaluate("() => window.shown.length"), 0)
        page.page.click("#notify")
        page.page.wait_for_selector("#notify[aria-pressed=false]")
        self.assertEqual(page.evaluate("() => ({...localStorage})"), {})
        self.mesh.emit("user.noted", {"number": "silence"})
        page.wait_for_row("silence")
        page.wait_for_row("alert.fired")
        self.assertEqual(len(self.shown(page)), 1)

    def test_why_there_are_none_is_said(self):
        page = self.open_recorded("window.answer = 'denied';")
        page.page.click("#notify")
        page.page.wait_for_selector("#word-text:has-text('Notifications of this page are blocked')")
        self.assertEqual(page.page.get_attribute("#notify", "aria-pressed"), "false")
        page = self.open_recorded("Object.defineProperty(window, 'isSecureContext', { value: false });")
        self.assertEqual(page.page.get_attribute("#notify", "aria-disabled"), "true")
        # It says why, all the same.
        page.page.click("#notify", force=True)
        page.page.wait_for_selector("#word-text:has-text('only over HTTPS, or from localhost')")
        self.assertEqual(page.evaluate("() => window.asked"), 0)
        page = self.open_recorded("window.isTelephone = true;")
        self.turn_on(page)
        self.mesh.emit("user.noted", {"number": "telephone"})
        page.page.wait_for_selector("#word-text:has-text('only for installed apps')")
        self.assertEqual(page.page.get_attribute("#notify", "aria-pressed"), "false")
        self.assertEqual(page.complaints, [])
