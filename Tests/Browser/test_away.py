"""What happened while the page was not looked at."""
from case import DashboardCase
from mesh import eventually

TROUBLE = [("tool.crashed", {"tool": "whisper", "error": "signal 9", "restart_count": 1}, "pi"),
           ("tool.crashed", {"tool": "llama", "error": "signal 9", "restart_count": 1}, "pi"),
           ("alert.fired", {"rule": "strange", "severity": "critical"}),
           ("user.calm", {"number": 1}), ("alert.resolved", {"rule": "strange", "severity": "critical"})]


class AwayCase(DashboardCase):
    def sleep(self, page):
        """Another tab is looked at."""
        page.hide(True)
        page.page.wait_for_selector("#link-text:has-text('Asleep')")

    def wake(self, page, after=600):
        """The tab is seen again, as if so many seconds had gone by."""
        page.shift_clock(after)
        page.hide(False)
        page.wait_until_live()


class AwayTests(AwayCase):
    def test_what_was_trouble_meanwhile_is_counted_and_shown(self):
        self.mesh.emit_all(TROUBLE)
        page = self.open_live()
        page.wait_for_row("alert.resolved")
        self.sleep(page)
        self.mesh.emit_all(TROUBLE + [("user.calm", {"number": n}) for n in range(5)])
        self.wake(page)
        page.page.wait_for_selector("#away:not([hidden])")
        self.assertEqual(page.page.locator(".away-count").all_inner_texts(), ["2 crashes", "1 alert fired", "1 alert resolved"])
        self.assertIn("Since you were away", page.page.inner_text("#away-what"))
        link = page.page.get_attribute("#away-show", "href")
        page.page.click("#away-show")
        page.wait_for_status("^4 events")
        self.assertEqual({row.split()[0] for row in page.rows()}, {"tool.crashed", "alert.fired", "alert.resolved"})
        self.assertEqual(page.evaluate("() => location.search"), link)
        # The link says the same to another person.
        other = self.open(link)
        other.wait_for_status("^4 events")
        page.page.click("#away-dismiss")
        page.page.wait_for_selector("#away", state="hidden")
        page.page.go_back()
        page.wait_until_live()
        self.assertTrue(page.page.is_hidden("#away"))
        self.assertEqual(page.complaints + other.complaints, [])

    def test_nothing_is_said_when_nothing_happened_or_the_pause_was_short(self):
        page = self.open_live()
        self.sleep(page)
        self.mesh.emit_all([("user.calm", {"number": n}) for n in range(20)])
        self.wake(page)
        page.wait_for_row("number=19")
        self.sleep(page)
        self.mesh.emit_all(TROUBLE)
        self.wake(page, after=30)
        page.wait_for_row("alert.resolved")
        self.assertTrue(page.page.is_hidden("#away"))

    def test_a_second_pause_goes_on_counting_and_none_is_counted_twice(self):
        page = self.open_live()
        for round in (1, 2):
            self.sleep(page)
            self.mesh.emit_all(TROUBLE)
            self.wake(page)
            eventually("the count", lambda: page.page.locator(".away-count").all_inner_texts()[:1] == [f"{2 * round} crashes"])

    def test_a_machine_that_slept_is_noticed_without_the_tab_being_hidden(self):
        page = self.open_live()
        # What a machine asleep is: nothing comes, and then the clock is another one.
        page.evaluate("() => { window.realFetch = window.fetch; window.fetch = () => Promise.reject(new TypeError('asleep')); }")
        self.mesh.stop_dashboard()
        page.page.wait_for_selector("#link-text:has-text('Reconnecting in')")
        self.mesh.start_dashboard()
        self.mesh.emit_all(TROUBLE)
        page.shift_clock(3600)
        page.evaluate("() => { window.fetch = window.realFetch; }")
        page.page.wait_for_selector("#away:not([hidden]) .away-count:has-text('2 crashes')")

    def test_many_are_bounded_and_it_fits_a_phone(self):
        page = self.open_live(width=320, height=844, has_touch=True, is_mobile=True, color_scheme="dark")
        self.sleep(page)
        self.mesh.emit_all([("tool.crashed", {"tool": f"t{n}", "error": "e", "restart_count": 1}) for n in range(2_300)] + TROUBLE
                           + [("node.unreachable", {"node": "pi"}), ("tool.unhealthy", {"tool": "t", "reason": "r"})])
        self.wake(page)
        page.page.wait_for_selector("#away .away-count:has-text('2,302 crashes')")
        self.assertLess(len([request for request in page.requests if "tool.crashed" in request and "limit=1000" in request]), 6)
        self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), 320)


class ReplacedAwayTests(AwayCase):
    def test_a_stream_that_was_created_anew_meanwhile_is_said(self):
        page = self.open_live()
        self.mesh.emit("user.former", {})
        page.wait_for_row("user.former")
        self.sleep(page)
        self.mesh.delete_stream()
        self.mesh.run("stream", "create")
        self.mesh.emit_all(TROUBLE)
        page.shift_clock(600)
        page.hide(False)
        page.page.wait_for_selector("#away:has-text('created anew')")
        self.assertTrue(page.page.is_hidden("#away-show"))
