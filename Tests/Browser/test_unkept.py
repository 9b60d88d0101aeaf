"""A mesh that keeps no stream, as one of Go nodes: the page shows what comes, and goes over to the stream by itself."""
import os
import unittest

from browser import Browser
from mesh import Mesh

LIVE = "#link[data-state=live]:has-text('Live, not kept')"


class UnkeptTests(unittest.TestCase):
    def setUp(self):
        browser = Browser()
        self.addCleanup(browser.close)
        self.mesh = Mesh(keeps=False)
        self.addCleanup(self.mesh.close)
        self.page = browser.open(self.mesh.page)
        self.addCleanup(self.page.close)
        self.page.page.wait_for_selector(LIVE)

    def keep(self):
        """Creates the stream, and waits until the page shows it."""
        self.mesh.run("stream", "create")
        self.page.page.wait_for_selector("#link-text:text-is('Live')")

    def test_what_comes_is_shown_and_said_not_to_be_kept(self):
        mesh, page = self.mesh, self.page
        page.page.wait_for_selector("#note:has-text('Nothing is kept yet')")
        self.assertIn("mesh-events stream create", page.page.inner_text("#note code >> nth=0"))
        self.assertTrue(page.page.is_hidden("#problem"))
        page.page.wait_for_selector("#list-empty:has-text('No event has come yet')")
        mesh.say("node.joined", {}, node="go-node")
        mesh.say("tool.started", {"tool": "whisper"}, node="go-node")
        for number in range(3):
            mesh.say("user.live", {"number": f"l{number}", "exact": 9007199254740993})
        page.wait_for_row("l2")
        page.page.wait_for_selector(".card[data-status=online]:has-text('go-node')")
        page.page.wait_for_selector("#tools tr:has-text('whisper') .state[data-status=running]")
        page.page.wait_for_selector("#legend button[data-type='user.live'] >> text=3")
        self.assertTrue(all("not kept" in row for row in page.rows()), page.rows())
        page.wait_for_status("^5 events, not kept")
        page.row("l1").click()
        page.page.wait_for_selector("#detail dd:has-text('no: the mesh has no stream')")
        page.page.wait_for_selector("#detail pre:has-text('9007199254740993')")
        if picture := os.environ.get("MESH_EVENTS_PICTURE"):
            page.page.screenshot(path=picture)
        page.page.keyboard.press("Escape")
        # A text is looked for in what has come; then all of it is there again.
        page.page.fill("#text", "l1")
        page.wait_for_status("^One event, not kept")
        page.page.fill("#text", "")
        page.wait_for_status("^5 events, not kept")
        # What comes while no page listens is said to be missing; what was there stays.
        page.hide(True)
        page.page.wait_for_selector("#link:not([data-state=live])")
        mesh.say("user.live", {"number": "unseen"})
        page.hide(False)
        page.page.wait_for_selector(LIVE)
        page.page.wait_for_selector(".row[data-kind=gap]:has-text('What came while the connection was lost')")
        self.assertTrue(any("l1" in row for row in page.rows()))
        self.assertEqual(page.complaints, [])

    def test_a_server_that_restarts_is_waited_for_and_what_came_meanwhile_is_missing(self):
        mesh, page = self.mesh, self.page
        mesh.say("user.live", {"number": "before"})
        page.wait_for_row("before")
        mesh.stop_server()
        page.page.wait_for_selector("#problem:has-text('Events from meanwhile are not shown: no stream keeps them.')")
        mesh.start_server()
        page.page.wait_for_selector(LIVE)
        page.page.wait_for_selector(".row[data-kind=gap]:has-text('What came while the connection was lost')")
        mesh.say("user.live", {"number": "after"})
        page.wait_for_row("after")
        self.assertEqual(len(page.rows()), 3)
        self.assertTrue(page.page.is_hidden("#problem"))
        # With a stream the same server is waited for without a live interlude.
        self.keep()
        mesh.emit("user.kept", {"number": "k1"})
        page.wait_for_row("k1")
        mesh.stop_server()
        page.page.wait_for_selector("#problem:has-text('Events from meanwhile are shown once it is back.')")
        mesh.start_server()
        page.page.wait_for_selector("#link-text:text-is('Live')")
        page.wait_for_row("k1")
        self.assertEqual(page.complaints, [])

    def test_what_the_page_holds_of_it_is_bounded(self):
        held = self.page.evaluate("""async () => {
            const { Events, liveRow } = await import('/events.js');
            const events = new Events({ isBounded: false, hasText: () => true });
            events.beginLive('now');
            let most = 0;
            for (let live = 1; live <= 4000; live += 1) {
                const event = { live, type: 'user.large', node: 'n', received: '2026-01-01T00:00:00Z', data: null };
                events.addLive(liveRow(event, 'x'.repeat(16_000)));
                most = Math.max(most, events.heard.reduce((sum, { raw }) => sum + raw.length, 0));
            }
            return { most, first: events.rows[0].sequence === events.heard[0].sequence, last: events.rows.at(-1).sequence };
        }""")
        self.assertLessEqual(held["most"], 16 << 20)
        self.assertEqual([held["first"], held["last"]], [True, 4000])

    def test_the_page_goes_over_to_the_stream_and_back_by_itself(self):
        mesh, page = self.mesh, self.page
        mesh.say("user.live", {"number": "first"})
        page.wait_for_row("first")
        page.evaluate("() => { window.isSame = true; }")
        self.keep()
        self.assertTrue(page.page.is_hidden("#note"))
        mesh.emit("user.kept", {"number": "k1"})
        page.wait_for_row("k1")
        self.assertFalse(any("not kept" in row for row in page.rows()), page.rows())
        page.wait_for_status("^One event, that is all there is")
        page.page.wait_for_selector("#legend button[data-type='user.kept'] >> text=1")
        mesh.delete_stream()
        page.page.wait_for_selector(LIVE)
        page.page.wait_for_selector("#list-empty:has-text('No event has come yet')")
        mesh.say("user.live", {"number": "again"})
        page.wait_for_row("again")
        page.wait_for_status("^One event, not kept")
        self.assertTrue(page.evaluate("() => window.isSame"))
        self.assertEqual(page.complaints, [])
