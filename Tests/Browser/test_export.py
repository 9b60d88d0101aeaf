"""What the filters select, as a file."""
import csv
import json
from urllib.parse import parse_qsl, urlsplit

from case import DashboardCase


class ExportTests(DashboardCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mesh.emit_all([("user.exported", {"number": n, "text": 'a "quoted", =text'}, "left" if n % 2 else "right") for n in range(40)])

    def export(self, page, format):
        """The file, and what was asked for."""
        with page.page.expect_download() as download:
            page.page.click(f"#export-{format}")
        asked = [request for request in page.requests if "/api/export" in request][-1]
        self.assertRegex(download.value.suggested_filename, rf"^mesh-events-[0-9T-]+Z\.{format}$")
        page.page.wait_for_selector("#export-status:has-text('KB')")
        with open(download.value.path(), newline="") as file:
            return file.read(), parse_qsl(urlsplit(asked).query)

    def test_the_files_have_what_the_filters_select(self):
        page = self.open_live("?pattern=user.exported+user.none&node=left&where=number+%3E+10&text=QUOTED")
        page.wait_for_status("^15 events")
        text, asked = self.export(page, "ndjson")
        self.assertEqual(asked, [("format", "ndjson"), ("pattern", "user.exported"), ("pattern", "user.none"), ("node", "left"),
                                 ("where", "number > 10"), ("text", "QUOTED")])
        events = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(sorted(event["data"]["number"] for event in events), list(range(11, 40, 2)))
        text, asked = self.export(page, "csv")
        self.assertEqual(asked[0], ("format", "csv"))
        rows = list(csv.reader(text.splitlines()))
        self.assertEqual(len(rows), 16)
        self.assertTrue(all("user.exported" in row for row in rows[1:]), rows[1])
        self.assertEqual(page.complaints, [])

    def test_a_time_is_asked_for_as_it_is_shown(self):
        page = self.open("?type=user.exported&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        _, asked = self.export(page, "ndjson")
        self.assertEqual(asked, [("format", "ndjson"), ("type", "user.exported"), ("since", "2026-01-01T00:00:00.000Z"),
                                 ("until", "2026-01-02T00:00:00.000Z")])


class RefusedExportTests(DashboardCase):
    """As a server answers that is in trouble, or slow."""

    def test_a_refusal_is_said_and_leaves_no_file(self):
        def prepare(context):
            context.route("**/api/export?*", lambda route: route.fulfill(
                status=503, content_type="application/json", body=json.dumps({"error": {"code": "x", "message": "too many <b>exports</b>"}})))
        page = self.open_live(prepare=prepare)
        downloads = []
        page.page.on("download", lambda download: downloads.append(download))
        page.page.click("#export-csv")
        page.page.wait_for_selector("#export-status:has-text('Not exported: too many <b>exports</b>')")
        self.assertTrue(page.page.is_enabled("#export-csv"))
        self.assertEqual(downloads, [])

    def test_a_file_that_the_server_has_cut_is_said(self):
        ends = {"ndjson": '{"export":{"complete":false,"events":1,"reason":"bytes","before":"7-1"}}\n',
                "csv": ',,,export.incomplete,,,,"{""complete"":false}"\r\n'}
        event = '{"type":"user.<b>","node":"export.incomplete","data":{"export":"export.incomplete"},"sequence":7}\n'

        def prepare(context):
            context.route("**/api/export?*", lambda route: route.fulfill(
                status=200, content_type="text/plain", body=event + ends.get(next((name for name in ends if f"format={name}" in route.request.url
                                                                                  and "node=" not in route.request.url), ""), "")))
        page = self.open_live(prepare=prepare)
        for format in ends:
            page.page.click(f"#export-{format}")
            page.page.wait_for_selector(f"#export-status:has-text('{format}: 1 KB, not all of it')")
        page.page.goto(self.mesh.page + "?node=export.incomplete")
        page.wait_until_live()
        for format in ends:
            page.page.click(f"#export-{format}")
            page.page.wait_for_selector(f"#export-status:has-text('{format}: 1 KB')")
            self.assertNotIn("not all", page.page.inner_text("#export-status"))

    def test_it_can_be_cancelled(self):
        asked = []
        # It is never answered.
        page = self.open_live(prepare=lambda context: context.route("**/api/export?*", lambda route: asked.append(route)))
        page.page.click("#export-ndjson")
        page.page.wait_for_selector("#export-csv:disabled")
        page.page.click("#export-cancel")
        page.page.wait_for_selector("#export-status:has-text('it was cancelled')")
        self.assertTrue(page.page.is_enabled("#export-csv"))
        self.assertEqual(len(asked), 1)
