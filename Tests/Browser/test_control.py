"""Tools are controlled from the page by who has its token, and each act is an event; a page without leave has no buttons."""
import json
import signal

from case import MANIFEST, DashboardCase
from mesh import Mesh, eventually

TOKEN = "a token for the tests, quite long"


class ControlTests(DashboardCase):
    manifest = MANIFEST

    def setUp(self):
        """A node of its own, and a page that may control its tools."""
        mesh = Mesh(node="workshop", manifest=MANIFEST, token=TOKEN, dashboard=["--allow-control"])
        self.addCleanup(mesh.close)
        self.workshop = mesh
        self.asked = []
        self.page = self.browser.open(mesh.page)
        self.addCleanup(self.page.close)
        self.page.page.fill("#login-token", TOKEN)
        self.page.page.press("#login-token", "Enter")
        self.page.wait_until_live()
        # The browser complains about the answer that asked for the token.
        self.page.complaints.clear()

    def answer(self, *, accepts):
        """Answers the question that comes before a tool is ended, and keeps its words."""
        def answer(dialog):
            self.asked.append(dialog.message)
            dialog.accept() if accepts else dialog.dismiss()
        self.page.page.once("dialog", answer)

    def button(self, action, tool="steady"):
        return self.page.page.locator(f"#tools button[aria-label='{action} {tool} on workshop']")

    def acts(self):
        """The events about what was asked, oldest first."""
        lines = self.workshop.run("list", "tool.controlled", "--json").splitlines()
        return [json.loads(line)["data"] for line in lines]

    def state(self, status, tool="steady"):
        self.page.page.wait_for_selector(f"#tools tr:has-text('{tool}') .state[data-status={status}]")

    def test_a_tool_is_stopped_and_started(self):
        self.state("running")
        self.answer(accepts=False)
        self.button("stop").click()
        self.assertEqual(self.asked, ["stop steady on workshop?"])
        self.assertEqual(self.acts(), [])
        self.answer(accepts=True)
        self.button("stop").click()
        self.state("stopped")
        self.assertFalse(self.button("stop").is_visible())
        self.button("start").click()
        self.state("running")
        acts = eventually("both acts", lambda: len(acts := self.acts()) == 2 and acts)
        self.assertEqual([act["action"] for act in acts], ["stop", "start"])
        self.assertTrue(all(act["tool"] == "steady" and act["by"].startswith("page") for act in acts), acts)
        self.assertEqual(self.page.complaints, [])

    def test_a_node_that_is_gone_is_said_beside_the_button(self):
        node = self.workshop.start_node("attic")
        row = self.page.page.locator("#tools tr", has_text="attic").filter(has_text="steady")
        row.locator(".state[data-status=running]").wait_for()
        node.stop(signal.SIGKILL)
        self.answer(accepts=True)
        row.locator("button[data-action=restart]").click()
        eventually("the reason", lambda: "attic" in row.locator(".refused").inner_text(), within=30)

    def test_a_page_without_leave_has_no_buttons(self):
        page = self.open_live()
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")
        self.assertEqual(page.page.locator("#tools .control button").count(), 0)
        status = page.evaluate("""async () => (await fetch('/api/tools', {
            method: 'POST', headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ action: 'stop', tool: 'steady', node: 'atelier' }) })).status""")
        self.assertIn(status, (401, 403, 404, 405))
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")
