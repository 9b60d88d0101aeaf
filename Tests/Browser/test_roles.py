"""Who is logged in, and what that user may do, as the server says it."""
import unittest

from browser import Browser
from case import MANIFEST
from mesh import Mesh

TOKEN = "a token for the tests, quite long"


class RoleTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A page that may read logs and control tools, by itself."""
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.mesh = Mesh(manifest=MANIFEST, token=TOKEN, dashboard=["--allow-control"])
        cls.addClassCleanup(cls.mesh.close)

    def open_as(self, leave_out=(), **session):
        """The page, logged in, of a server that says this of the session beside what it says."""
        def answer(route):
            if route.request.method != "GET":
                return route.continue_()
            found = route.fetch()
            members = {**found.json(), **session}
            route.fulfill(response=found, json={name: value for name, value in members.items() if name not in leave_out})
        page = self.browser.open(self.mesh.page, prepare=lambda context: context.route("**/api/session", answer))
        self.addCleanup(page.close)
        page.page.fill("#login-token", TOKEN)
        page.page.press("#login-token", "Enter")
        page.wait_until_live()
        page.page.wait_for_selector("#tools tr:has-text('steady') .state[data-status=running]")
        return page

    def test_an_observer_sees_who_it_is_and_has_nothing_to_press_in_vain(self):
        page = self.open_as(user="ada", role="observer", can={"control": False, "logs": False, "export": False})
        page.page.wait_for_selector("#user:has-text('ada (observer)')")
        page.page.wait_for_selector("#tools .open-log:disabled")
        self.assertEqual(page.page.locator("#tools .control button").count(), 0)
        self.assertTrue(page.page.is_hidden("#export"))
        # A link to a log opens none.
        page.page.goto(self.mesh.page + "?log=steady&log-node=atelier")
        page.page.wait_for_selector("#word-text:has-text('may not read the log')")
        self.assertTrue(page.page.is_hidden("#logs"))

    def test_what_a_user_may_is_there_and_the_name_is_text(self):
        page = self.open_as(user="<b>bo\u202eb</b>" + "x" * 300, role="operator", can={"control": True, "logs": True, "export": True, "new": True})
        page.page.wait_for_selector("#user:has-text('<b>bo')")
        self.assertNotIn("\u202e", page.page.inner_text("#user"))
        page.page.wait_for_selector("#tools .open-log:enabled")
        page.page.wait_for_selector("#tools .control button[aria-label='stop steady on atelier']")
        self.assertTrue(page.page.is_visible("#export-csv"))
        for width in (1360, 1081, 1080, 701, 390, 320):
            page.page.set_viewport_size({"width": width, "height": 800})
            self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), width)

    def test_a_server_that_knows_no_roles_names_no_user_and_takes_nothing_away(self):
        page = self.open_as(leave_out=("user", "role", "can"))
        page.page.wait_for_selector("#tools .open-log:enabled")
        page.page.wait_for_selector("#tools .control button[aria-label='stop steady on atelier']")
        self.assertTrue(page.page.is_hidden("#user"))
        self.assertTrue(page.page.is_visible("#export-csv"))
