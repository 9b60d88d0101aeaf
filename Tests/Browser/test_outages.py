"""What is away comes back: the dashboard, the server of the mesh, the browser. No gap, no repeat."""
import os
import signal

from playwright.sync_api import TimeoutError

from browser import Page
from case import DashboardCase
from mesh import eventually


class ReplacedTests(DashboardCase):
    def test_a_stream_that_is_created_again_is_shown_from_its_beginning(self):
        page = self.open_live()
        self.mesh.emit("node.joined", {"capabilities": {"version": "1"}}, node="former")
        self.mesh.emit_all([("user.anew", {"number": f"f{number}"}) for number in range(3)])
        page.wait_for_row("f2")
        page.page.wait_for_selector("#legend button[data-type='user.anew'] >> text=3")
        page.page.wait_for_selector(".card:has-text('former')")
        self.mesh.delete_stream()
        # More than the page has seen, so that no sequence tells.
        self.mesh.run("stream", "create")
        self.mesh.emit("node.joined", {"capabilities": {"version": "1"}}, node="latter")
        self.mesh.emit_all([("user.anew", {"number": f"n{number}"}) for number in range(40)])
        page.wait_for_row("n39", within=20)
        # Exactly: the events of the new stream, counted once, and its nodes.
        page.page.wait_for_selector("#legend button[data-type='user.anew'] >> text=40")
        page.page.wait_for_selector(".card:has-text('latter')")
        page.page.wait_for_function("() => ![...document.querySelectorAll('.card')].some((card) => card.textContent.includes('former'))")
        page.page.fill("#text", "number")
        page.wait_for_status("^40 events")
        self.assertFalse([row for row in page.rows() if "number=f" in row])
        page.wait_until_live()
        self.assertTrue(page.page.is_hidden("#problem"))
        self.assertEqual(page.complaints, [])


class OutageTests(DashboardCase):
    def test_a_dashboard_that_restarts_leaves_no_gap_and_no_repeat(self):
        page = self.open_live("?pattern=user.away")
        self.mesh.emit("user.away", {"number": "a00"})
        page.wait_for_row("a00")
        self.mesh.stop_dashboard(signal.SIGKILL)
        page.page.wait_for_selector("#link-text:has-text('Reconnecting in')")
        self.assertIn("cannot be reached", page.page.inner_text("#problem"))
        self.mesh.emit_all([("user.away", {"number": f"a{number:02}"}) for number in range(1, 15)])
        self.mesh.start_dashboard()
        page.wait_for_row("a14")
        page.wait_until_live()
        self.mesh.emit("user.away", {"number": "a15"})
        page.wait_for_row("a15")
        page.wait_for_status("^16 events")
        self.assertEqual([row.split("number=")[1] for row in page.rows()], [f"a{number:02}" for number in range(15, -1, -1)])
        self.assertTrue(page.page.is_hidden("#problem"))

    def test_a_browser_that_was_away_goes_on_at_its_last_event_id(self):
        # The browser's own reconnection, which sends Last-Event-ID; not the page's.
        page = self.open_live()
        page.evaluate("""() => {
            window.seen = [];
            window.opened = 0;
            const source = new EventSource('/api/stream?pattern=user.gone');
            source.onopen = () => { window.opened += 1; };
            source.onmessage = (message) => window.seen.push([Number(message.lastEventId.split('-')[0]), JSON.parse(message.data).data.number]);
        }""")
        page.page.wait_for_function("() => window.opened === 1")
        sent = 0
        for round in range(3):
            self.mesh.emit_all([("user.gone", {"number": number}) for number in range(sent, sent + 50)])
            page.page.wait_for_function("count => window.seen.length >= count", arg=sent + 50)
            self.mesh.stop_dashboard(signal.SIGKILL)
            self.mesh.emit_all([("user.gone", {"number": number}) for number in range(sent + 50, sent + 100)])
            self.mesh.start_dashboard()
            sent += 100
            page.page.wait_for_function("count => window.seen.length >= count", arg=sent, timeout=20_000)
        seen = page.evaluate("() => window.seen")
        self.assertEqual([number for _, number in seen], list(range(sent)))
        sequences = [sequence for sequence, _ in seen]
        self.assertEqual(sequences, sorted(set(sequences)))
        self.assertEqual(page.evaluate("() => window.opened"), 4)

    def test_what_the_stream_has_dropped_meanwhile_is_shown_as_missing(self):
        page = self.open_live("?pattern=user.lost")
        self.mesh.emit("user.lost", {"number": "l0"})
        page.wait_for_row("l0")
        self.mesh.stop_dashboard(signal.SIGKILL)
        self.mesh.emit_all([("user.lost", {"number": f"l{number}"}) for number in range(1, 11)])
        self.mesh.run("stream", "purge", "--yes")
        self.mesh.emit("user.lost", {"number": "l11"})
        self.mesh.start_dashboard()
        page.wait_for_row("l11")
        page.page.wait_for_selector(".row[data-kind=gap]:has-text('missing here (the stream no longer has them)')")
        self.assertTrue(any("l0" in row for row in page.rows()))

    def test_a_server_of_the_mesh_that_restarts_is_waited_for(self):
        page = self.open_live("?pattern=user.outage")
        self.mesh.emit("user.outage", {"text": "before it"})
        page.wait_for_row("before it")
        page.evaluate("""() => { window.told = []; new MutationObserver(() => window.told.push(
            document.querySelector('#link-text').textContent)).observe(document.querySelector('#link'),
            { subtree: true, childList: true, characterData: true }); }""")
        servers = children(self.mesh.server.process.pid, "nats-server")
        self.assertEqual(len(servers), 1)
        os.kill(servers[0], signal.SIGKILL)
        eventually("the server", lambda: try_emit(self.mesh), within=20)
        page.wait_for_row("after the outage", within=10)
        page.wait_until_live()
        page.wait_for_status("^2 events")
        self.assertIn("Mesh unreachable", page.evaluate("() => window.told"))
        self.assertTrue(page.page.is_hidden("#problem"))


class TabTests(DashboardCase):
    """A browser has six connections for all tabs of a host."""

    def test_a_tab_beyond_the_sixth_opens_when_others_are_hidden_and_these_miss_nothing(self):
        first = self.open_live("?pattern=user.tab")
        self.mesh.emit("user.tab", {"number": "t0"})
        first.wait_for_row("t0")
        tabs = [first] + [Page(first.context, self.mesh.page) for _ in range(5)]
        for tab in tabs:
            tab.wait_until_live()
        seventh = first.context.new_page()
        # All connections are taken: nothing is answered.
        with self.assertRaises(TimeoutError):
            seventh.goto(self.mesh.page, timeout=3_000)
        for tab in tabs:
            tab.hide(True)
        for tab in tabs:
            tab.page.wait_for_selector("#link-text:has-text('Asleep')")
        seventh.goto(self.mesh.page)
        seventh.wait_for_selector("#link[data-state=live]")
        self.mesh.emit_all([("user.tab", {"number": f"t{number}"}) for number in range(1, 4)])
        self.assertFalse(any("t3" in row for row in first.rows()))
        first.hide(False)
        first.wait_until_live()
        first.wait_for_row("t3")
        self.assertEqual([row.split("number=")[1] for row in first.rows()], ["t3", "t2", "t1", "t0"])

    def test_a_tab_that_is_hidden_for_a_moment_keeps_its_connection(self):
        page = self.open_live()
        opened = len([request for request in page.requests if "/api/stream" in request])
        page.hide(True)
        page.hide(False)
        self.mesh.emit("user.still", {"number": "here"})
        page.wait_for_row("here")
        self.assertEqual(len([request for request in page.requests if "/api/stream" in request]), opened)


def children(parent, name):
    """The ids of the processes of this name that `parent` has started."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                status = file.read()
        except OSError:
            continue
        program, _, rest = status.rpartition(")")
        if program.endswith(f"({name}") and rest.split()[1] == str(parent):
            found.append(int(entry))
    return found


def try_emit(mesh):
    try:
        mesh.emit("user.outage", {"text": "after the outage"})
        return True
    except AssertionError:
        return False
