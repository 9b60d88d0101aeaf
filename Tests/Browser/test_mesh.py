"""Nodes as cards and tools as a table, live."""
import time

from case import MANIFEST, DashboardCase
from mesh import eventually


class MeshTests(DashboardCase):
    manifest = MANIFEST

    def test_tools_are_shown_as_they_are(self):
        page = self.open_live()
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")
        page.page.wait_for_selector("#tools tr:has-text('broken') .state[data-status=failed]")
        cells = page.page.locator("#tools tr", has_text="broken").locator("th, td").all_inner_texts()
        self.assertEqual(cells[:5], ["broken", "atelier", "0.1.0", "failed", "0"])
        self.assertIn("exit", cells[5].lower())
        self.assertRegex(cells[6], "^(now|[0-9]+ s ago)$")
        page.page.wait_for_selector("#summary [data-status=failed]:has-text('1 tool failed')")
        self.mesh.run("tool", "stop", "steady")
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=stopped]")
        self.mesh.run("tool", "start", "steady")
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")

    def test_nodes_come_report_and_leave(self):
        page = self.open_live()
        page.page.wait_for_selector(".card[data-status=online] >> text=atelier")
        self.mesh.emit("node.joined", {"capabilities": {"version": "9"}}, node="guest")
        page.page.wait_for_selector(".card[data-status=online]:has-text('guest')")
        for cpu in (0.1, 0.9, 0.25):
            self.mesh.emit("node.health", {"status": "online", "resources": {
                "cpu": cpu, "mem_used_mb": 1024, "mem_total_mb": 4096, "disk_free_mb": 2_097_152}}, node="guest")
        card = page.page.locator(".card", has_text="guest")
        eventually("the resources", lambda: "25 %" in card.inner_text() and "1.0 of 4.0 GB" in card.inner_text()
                   and "2.0 TB free" in card.inner_text())
        # Three reports are three points of the line, the last a quarter of the way up.
        points = card.locator(".spark polyline").first.get_attribute("points").split()
        heights = [float(point.split(",")[1]) for point in points]
        self.assertEqual(len(points), 3)
        self.assertLess(heights[1], heights[2])
        self.assertLess(heights[2], heights[0])
        self.mesh.emit("node.health", {"status": "degraded", "resources": {
            "cpu": 0.2, "checks": {"disk": "412 MB free"}}}, node="guest")
        page.page.wait_for_selector(".card[data-status=degraded]:has-text('disk: 412 MB free')")
        self.mesh.emit("node.left", {"reason": "enough"}, node="guest")
        page.page.wait_for_selector(".card[data-status=left]:has-text('Left: enough')")
        card.locator("button.name").click()
        page.wait_for_address("?node=guest")
        page.wait_for_status("^6 events")


    def test_what_a_node_lists_is_shown_at_once(self):
        page = self.open_live()
        listed = lambda name, state, **more: {"name": name, "version": "3", "state": state, "since": "2026-01-01T12:00:00Z",
                                              "restarts": 2, **more}
        self.mesh.emit("node.health", {"status": "online", "resources": {}, "tools": [
            listed("ready", "running"), listed("lost", "failed", error="out of memory"),
            listed("shaky", "backing_off", error="killed")]}, node="lister")
        page.page.wait_for_selector("#tools tr:has-text('lost') .state[data-status=failed]")
        cells = page.page.locator("#tools tr", has_text="shaky").locator("th, td").all_inner_texts()
        self.assertEqual(cells[:6], ["shaky", "lister", "3", "backing off", "2", "killed"])
        page.page.wait_for_selector("#summary [data-status=backing_off]:has-text('1 tool backing off')")
        self.mesh.emit("node.health", {"status": "online", "resources": {}, "tools": [
            listed("ready", "running", ready=False, status="loading the model"),
            listed("shaky", "running", error="killed", health="unhealthy", health_reason="<b>no answer</b> within 2s")]}, node="lister")
        page.page.wait_for_selector("#tools tr:has-text('shaky') .state[data-status=unhealthy]")
        cells = page.page.locator("#tools tr", has_text="shaky").locator("th, td").all_inner_texts()
        self.assertEqual(cells[:6], ["shaky", "lister", "3", "unhealthy", "2", "<b>no answer</b> within 2s"])
        page.page.wait_for_selector("#summary [data-status=unhealthy]:has-text('1 tool unhealthy')")
        state = page.page.locator("#tools tr", has_text="lister").filter(has_text="running, not ready").locator("td").nth(2)
        self.assertEqual(state.get_attribute("title"), "loading the model")
        self.mesh.emit("node.health", {"status": "online", "resources": {}, "tools": [listed("ready", "running")]}, node="lister")
        page.page.wait_for_selector("#tools tr:has-text('lost')", state="detached")
        self.mesh.emit("node.left", {"reason": "enough"}, node="lister")


    def test_what_tools_use_is_shown_with_how_it_went(self):
        page = self.open_live()
        def report(*tools):
            self.mesh.emit("node.health", {"status": "online", "resources": {}, "tools": [
                {"name": name, "version": "3", "state": "running", "since": "2026-01-01T12:00:00Z", "restarts": 0,
                 "usage": usage} for name, usage in tools]}, node="worker")
        row = page.page.locator("#tools tr", has_text="whisper")
        for cpu, shown in ((0.5, "50 %"), (2, "200 %"), (1.25, "125 %")):
            report(("whisper", {"cpu": cpu, "memory_mb": 2048, "processes": 3, "files": 1, "written_mb": 12.5,
                                "gpus": [{"index": 1, "memory_mb": 11264}]}), ("odd", {"cpu": "<b>", "memory_mb": -1}))
            eventually("the share", lambda: shown in row.inner_text())
        cell = row.locator(".usage")
        self.assertEqual(cell.inner_text().split(), "125 % 2.0 GB 11 GB on GPU 1".split())
        self.assertEqual(cell.get_attribute("title"), "125 % of a processor, 2.0 GB of memory, 3 processes, 1 open file, "
                         "13 MB written, 11 GB on GPU 1")
        heights = [float(point.split(",")[1]) for point in cell.locator("polyline").get_attribute("points").split()]
        self.assertEqual(len(heights), 3)
        self.assertLess(heights[1], heights[2])
        self.assertLess(heights[2], heights[0])
        self.assertEqual(page.page.locator("#tools tr", has_text="odd").locator(".usage").inner_text(), "")
        # The tools of a real node.
        page.page.wait_for_selector("#tools tr:has-text('steady') .usage:has-text('MB')")
        self.mesh.emit("node.left", {"reason": "enough"}, node="worker")
        eventually("nothing used", lambda: cell.inner_text() == "")


class LateTests(DashboardCase):
    def test_a_mesh_that_is_told_late_is_shown_as_of_then(self):
        page = self.open_live()
        self.assertTrue(page.page.is_hidden("#as-of"))
        page.page.route("**/api/stream?*", lambda route: route.fulfill(
            content_type="text/event-stream",
            body='event: time\ndata: {"time":"2026-01-01T12:00:30Z","mesh":"2026-01-01T12:00:10Z"}\n\n'))
        page.page.fill("#pattern", "user.*")
        page.page.wait_for_selector("#as-of:has-text('as of ')")
        self.assertRegex(page.page.inner_text("#as-of"), "as of [0-9]{2}:[0-9]{2}:10")
        # Told in time again, it says so no more.
        page.page.unroute("**/api/stream?*")
        page.page.wait_for_selector("#as-of", state="hidden", timeout=30_000)


class CrowdTests(DashboardCase):
    def test_a_thousand_nodes_and_tools_are_counted_and_hold_nothing_up(self):
        page = self.open_live("?pattern=user.after")
        self.mesh.emit_all([(kind, data, f"n{number:04}") for number in range(1_000) for kind, data in [
            ("node.joined", {"capabilities": {"version": "1"}}), ("tool.installed", {"tool": "t", "version": "1"})]])
        # A debug build on a busy machine tells a thousand nodes seldom; what counts is that it comes to tell all of them.
        page.page.wait_for_selector("#nodes-count:has-text('1001 of 1001 online')", timeout=60_000)
        page.page.wait_for_selector("#nodes .more:has-text('and 701 more')")
        page.page.wait_for_selector("#tools-more:has-text('and 700 more')")
        self.assertEqual(page.page.locator(".card").count(), 300)
        began = time.monotonic()
        self.mesh.emit("user.after", {"number": "still quick"})
        page.wait_for_row("still quick", within=2)
        self.assertLess(time.monotonic() - began, 2)
        self.assertLessEqual(page.page.locator("#node option").count(), 500)


class TroubleTests(DashboardCase):
    manifest = MANIFEST

    def test_trouble_comes_first_and_the_footer_names_the_keeper(self):
        page = self.open_live()
        page.page.wait_for_selector("#keeper[data-state=kept]:has-text('State kept by atelier')", timeout=30_000)
        self.assertRegex(page.page.inner_text("#keeper"), r"saved (now|[0-9]+ s ago), ([0-9]+ events?|no event) behind")
        health = lambda status: ("node.health", {"status": status, "resources": {"interval_s": 1}})
        self.mesh.emit_all([
            (*health("online"), "zulu"), (*health("online"), "yankee"), ("node.joined", {}, "alpha"),
            ("tool.started", {"tool": "lost"}, "zulu"), ("node.health", {"status": "degraded", "resources": {}}, "xray"),
            ("node.maintenance", {"node": "yankee", "for_s": 3600, "reason": "new disk"}, "alpha")])
        # Neither is heard of for three seconds; one of them may be away.
        page.page.wait_for_selector(".card[data-status=unreachable]:has-text('zulu')", timeout=30_000)
        page.page.wait_for_selector(".card[data-status=maintenance]:has-text('unreachable, in maintenance until')", timeout=30_000)
        self.assertIn(": new disk", page.page.locator(".card", has_text="yankee").inner_text())
        page.page.wait_for_selector("#tools tr:has-text('broken') .state[data-status=failed]")
        names = page.page.locator(".card .name").all_inner_texts()
        self.assertEqual(names, ["atelier", "zulu", "xray", "alpha", "yankee"])
        tools = page.page.locator("#tools tr th").all_inner_texts()
        self.assertEqual(tools, ["broken", "lost", "steady"])
        page.page.wait_for_selector("#summary :text('2 nodes in trouble')")
        # The keeper announces it, and the histogram counts it.
        page.wait_for_row("node.unreachable", within=30)
        page.page.wait_for_selector("#legend [data-type='node.unreachable'][data-color=bad]")

    def test_a_mesh_that_no_node_keeps_says_so(self):
        page = self.open_live()
        page.page.route("**/api/stream?*", lambda route: route.fulfill(
            content_type="text/event-stream",
            body='event: keeper\ndata: {"keeper":null,"at":null,"sequence":null,"behind":null}\n\n'))
        page.page.fill("#pattern", "user.*")
        page.page.wait_for_selector("#keeper[data-state=unkept]:has-text('No node keeps the state: what the stream drops is forgotten')")
        self.assertEqual(page.page.inner_text("#keeper code"), "mesh-events keep")
