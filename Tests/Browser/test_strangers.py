"""What strangers write is text, what strangers ask is refused."""
import http.server
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from browser import Browser, Page
from case import DashboardCase
from mesh import Mesh

MARKUP = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'></pre>&lt;b&gt;${hacked=1}"
# Escape sequences, a text that runs backwards, a zero byte, one that ends a line of an event stream.
CONTROLS = "\u001b[31mred\u001b]0;title\u0007 \u202egnp.exe\u202c \u2066x\u2069 \u0000 \u0085 \u2028 \r\ndata: x"


class HostileEventTests(DashboardCase):
    def test_an_event_full_of_markup_is_text(self):
        page = self.open_live()
        count = "() => document.querySelectorAll('script, img, iframe, link, object, embed, style').length"
        before = page.evaluate(count)
        # Not one of these is a node or a type that one wants, but each can be.
        self.mesh.emit("user.<img/src=x/onerror=hacked=1", {MARKUP: MARKUP, "list": [MARKUP], "__proto__": MARKUP},
                       node=MARKUP)
        for kind, data in [("node.joined", {"capabilities": {"version": MARKUP}}),
                           ("node.health", {"status": MARKUP, "resources": {"cpu": MARKUP, "checks": {MARKUP: MARKUP}}}),
                           ("tool.installed", {"tool": MARKUP, "version": MARKUP}),
                           ("tool.crashed", {"tool": MARKUP, "error": MARKUP, "restart_count": 1})]:
            self.mesh.emit(kind, data, node=MARKUP + "2")
        page.wait_for_row("onerror=hacked=1")
        page.page.wait_for_selector("#tools td:has-text('onerror')")
        page.page.wait_for_selector(".card:has-text('<script>')")
        page.page.wait_for_selector("#legend button:has-text('user.<img')")
        page.row("user.<img").click()
        page.page.wait_for_selector("#detail:not([hidden]) pre .key")
        self.assertIn(MARKUP, page.page.inner_text("#detail dd >> nth=0"))
        self.assertIn("<script>window.hacked=1</script>", page.page.inner_text("#detail pre"))
        page.page.hover("#histogram")
        page.page.select_option("#node", MARKUP)
        page.wait_for_row("user.<img")
        page.page.click("#legend button:has-text('user.<img')")
        page.page.reload()
        page.wait_for_row("user.<img")
        self.assertIsNone(page.evaluate("() => window.hacked ?? null"))
        self.assertEqual(page.evaluate(count), before)
        self.assertEqual(page.complaints, [])

    def test_control_characters_are_shown_and_turn_nothing_around(self):
        page = self.open_live("?pattern=user.control")
        self.mesh.emit("user.control", {"text": CONTROLS, "after": "still here"}, node="node\u202eedon")
        page.wait_for_row("still here")
        shown = page.evaluate("() => document.querySelector('.row:not([hidden])').textContent")
        self.assertIn("node\\u202eedon", shown)
        self.assertIn("\\u001b[31mred\\u001b]0;title\\u0007 \\u202egnp.exe\\u202c", shown)
        page.row("still here").click()
        page.page.wait_for_selector("#detail pre .key")
        everything = page.evaluate("() => document.body.textContent")
        for character in "\u001b\u0007\u0000\u202e\u2066\u0085":
            self.assertNotIn(character, everything, repr(character))
        self.assertEqual(page.complaints, [])

    def test_nothing_is_loaded_from_elsewhere(self):
        page = self.open_live()
        self.assertTrue(all(request.startswith(self.mesh.page) for request in page.requests), page.requests)
        self.assertEqual(page.complaints, [])
        blocked = page.evaluate("""async () => {
            const failed = async (body) => { try { await body(); return false; } catch { return true; } };
            return [await failed(() => fetch('https://example.com/')),
                await failed(async () => { document.body.innerHTML = '<b>x</b>'; }),
                await failed(async () => { document.createElement('script').text = 'window.hacked = 1'; })];
        }""")
        self.assertEqual(blocked, [True, True, True])


class SignatureTests(DashboardCase):
    """Told whom to trust, the page says who has said it."""

    def test_each_event_is_marked_as_signed_unsigned_or_forged(self):
        key, trust = str(self.mesh.directory / "node-a.nk"), str(self.mesh.directory / "trust")
        made = subprocess.run([self.mesh.program, "key", "new", key, "--node", "node-a"], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        (self.mesh.directory / "trust").write_text(made.stdout)
        self.mesh.restart_dashboard(trust)
        page = self.open_live("?pattern=user.said")

        def say(number, node, *arguments):
            self.mesh.run("emit", "user.said", f"number={number}", "--node", node, "--ack", *arguments)
        # As they come, and again as history.
        say(1, "node-a", "--sign-key", key)
        say(2, "node-a")
        say(3, "node-b", "--sign-key", key)
        for _ in range(2):
            page.wait_for_row("number=3")
            page.wait_for_row("number=1")
            marks = [page.row(f"number={number}").locator(".mark").get_attribute("aria-label") for number in (1, 2, 3)]
            self.assertEqual(marks[:2], ["signed by its node", "unsigned"])
            self.assertRegex(marks[2], "^forged: the key is not one of the node")
            self.assertEqual(page.row("number=3").locator(".mark").inner_text(), "✕ forged")
            page.page.reload()
        page.row("number=3").click()
        page.page.wait_for_selector("#detail dd.mark[data-signature=forged]:has-text('forged: the key is not one of the node')")
        # An event cannot say it of itself, and nobody says it who was not told whom to trust.
        self.mesh.restart_dashboard()
        self.mesh.emit("user.said", {"number": 4, "signature": "signed"})
        page.page.goto(self.mesh.page + "?pattern=user.said")
        page.wait_for_row("number=4")
        self.assertEqual(page.page.locator(".mark:visible").count(), 0)


class ElsewhereTests(DashboardCase):
    """Pages of other sites in the same browser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
        cls.addClassCleanup(cls.site.server_close)
        threading.Thread(target=cls.site.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.site.shutdown)

    def test_a_page_from_elsewhere_reads_nothing_and_frames_nothing(self):
        page = self.browser.open(f"http://localhost:{self.site.server_port}/")
        self.addCleanup(page.close)
        read = """async (address) => {
            const tried = (path, options) => fetch(address + path, options).then((answer) => answer.text(), () => 'refused');
            const stream = await new Promise((resolve) => {
                const source = new EventSource(address + 'api/stream');
                source.onopen = () => resolve('open');
                source.onerror = () => { source.close(); resolve('refused'); };
            });
            const opaque = await fetch(address + 'api/mesh', { mode: 'no-cors' }).then((answer) => answer.type, () => 'refused');
            return [await tried('api/mesh'), await tried('api/events', { method: 'POST', body: '{}' }), stream, opaque];
        }"""
        self.assertEqual(page.evaluate(read, self.mesh.page), ["refused"] * 4)
        page.evaluate("""(address) => { const frame = document.createElement('iframe');
            frame.src = address; document.body.append(frame); }""", self.mesh.page)
        page.page.wait_for_function("() => document.querySelector('iframe').contentDocument === null")
        self.assertTrue(any("frame-ancestors" in text or "X-Frame-Options" in text for text in page.complaints)
                        or page.page.frames[1].url.startswith("chrome-error:"), page.complaints)

    def test_a_name_that_leads_here_by_rebinding_is_refused(self):
        browser = Browser("--host-resolver-rules=MAP evil.test 127.0.0.1", playwright=self.browser.playwright)
        self.addCleanup(browser.close)
        page = browser.open(f"http://evil.test:{self.mesh.page_port}/")
        self.addCleanup(page.close)
        self.assertIn("is no name of this dashboard", page.page.inner_text("body"))
        answer = page.evaluate("() => fetch('/api/mesh').then(async (answer) => [answer.status, await answer.text()])")
        self.assertEqual(answer[0], 421)
        self.assertNotIn("atelier", answer[1])


class Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

    def log_message(self, *_):
        pass


class Taker(Blank):
    """Keeps the cookies that it is sent."""
    cookies = []

    def do_GET(self):
        self.cookies.append(self.headers.get("Cookie", ""))
        super().do_GET()


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
        page.page.wait_for_selector("#login-error:has-text('the token is wrong')")
        page.page.fill("#login-token", mesh.token)
        page.page.keyboard.press("Enter")
        page.wait_until_live()
        self.assertEqual(page.evaluate("() => document.cookie + Object.keys({...sessionStorage, ...localStorage})"), "session")
        self.assert_another_port_has_nothing(mesh, page)
        mesh.stop_dashboard()
        mesh.start_dashboard()
        # Sessions are the server's: one that has ended does not come alive again with a restart.
        page.page.wait_for_selector("#login[open]")
        page.page.fill("#login-token", mesh.token)
        page.page.keyboard.press("Enter")
        page.wait_until_live()
        page.page.click("#logout")
        page.page.wait_for_selector("#login[open]")
        self.assertEqual(page.evaluate("() => ({...localStorage})"), {})

    def assert_another_port_has_nothing(self, mesh, page):
        """A server on another port of the host name gets the cookie, and its page the storage of its own origin."""
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.addCleanup(site.server_close)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        self.addCleanup(site.shutdown)
        other = Page(page.context, f"http://127.0.0.1:{site.server_port}/")
        cookie = Taker.cookies[-1]
        self.assertIn(f"mesh_events_{mesh.page_port}=", cookie)
        self.assertEqual(other.evaluate("() => Object.keys(localStorage)"), [])
        for path in ("api/mesh", "api/events", "api/stream"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(mesh.page + path, headers={"Cookie": cookie}), timeout=10)
            self.assertEqual(refused.exception.code, 401)
        # Another tab of the page itself is logged in.
        second = Page(page.context, mesh.page)
        second.wait_until_live()
        second.page.close()
