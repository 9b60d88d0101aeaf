"""What a tool writes, in a panel of its own; and why it crashed."""
from case import DashboardCase
from mesh import eventually

MANIFEST = """
tools:
  - name: chatty
    version: "1.0.0"
    command:
      - sh
      - -c
      - |
        echo 'loading <b>model</b>'; printf 'up \\342\\200\\256down\\n'; echo 'CUDA out of memory' >&2
        i=0; while [ ! -e stop ]; do i=$((i+1)); echo "tick $i"; sleep 0.2; done
  - name: broken
    version: "0.1.0"
    command: [sh, -c, "echo 'out of <i>luck</i>' >&2; exit 3"]
    restart: never
"""


class LogTests(DashboardCase):
    manifest = MANIFEST

    def lines(self, page):
        return page.page.locator("#logs-list li span").all_inner_texts()

    def test_lines_come_and_are_searched(self):
        page = self.open_live()
        page.page.locator("#tools .open-log", has_text="chatty").click()
        eventually("the lines", lambda: any(line.startswith("tick") for line in self.lines(page)))
        lines = self.lines(page)
        self.assertIn("loading <b>model</b>", lines)
        self.assertIn("up \\u202edown", lines)
        self.assertIn("CUDA out of memory", page.page.locator("#logs-list li[data-stream=stderr]").all_inner_texts()[0])
        count = len(lines)
        eventually("more lines", lambda: len(self.lines(page)) > count + 2)
        numbers = [int(line[5:]) for line in self.lines(page) if line.startswith("tick ")]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        page.page.fill("#logs-text", "out of")
        eventually("what was searched for", lambda: self.lines(page) == ["CUDA out of memory"])
        page.page.fill("#logs-text", "no such words")
        page.page.wait_for_selector("#logs-status:has-text('No line matches.')")
        page.page.fill("#logs-text", "")
        page.page.check("#logs-stderr")
        eventually("standard error", lambda: self.lines(page) == ["CUDA out of memory"])
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#logs", state="hidden")

    def test_the_last_lines_of_a_crash_are_shown(self):
        page = self.open_live()
        page.page.wait_for_selector("#tools tr:has-text('broken') .state[data-status=failed]")
        page.page.locator(".row[data-type='tool.crashed']").first.click()
        page.page.wait_for_selector("#detail pre.output")
        self.assertEqual(page.page.locator("#detail pre.output").inner_text(), "out of <i>luck</i>")
