"""A test with a browser, a mesh and a dashboard; each class has its own."""
import unittest

from browser import Browser
from mesh import Mesh

MANIFEST = """
tools:
  - name: steady
    version: "1.2.0"
    command: [sleep, "600"]
  - name: broken
    version: "0.1.0"
    command: [sh, -c, "echo out of luck >&2; exit 3"]
    restart: never
"""


class DashboardCase(unittest.TestCase):
    manifest = None

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.mesh = Mesh(manifest=cls.manifest)
        cls.addClassCleanup(cls.mesh.close)

    def open(self, query="", **options):
        """The page in a window of its own, with what the address says."""
        page = self.browser.open(self.mesh.page + query, **options)
        self.addCleanup(page.close)
        return page

    def open_live(self, query="", **options):
        page = self.open(query, **options)
        page.wait_until_live()
        return page
