"""Chromium, headless, and what the tests ask of a page."""
import os
import shutil

from playwright.sync_api import sync_playwright


class Browser:
    """`arguments` are the program's. There is one driver at a time: a second browser takes that of the first."""

    def __init__(self, *arguments, playwright=None):
        self.playwright = playwright or sync_playwright().start()
        self.is_driver_mine = playwright is None
        executable = os.environ.get("MESH_EVENTS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        assert executable, "there is no chromium: run `Scripts/setup.sh browser`"
        # Without the sandbox where the tests run as root; the pages are ours.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.chromium = self.playwright.chromium.launch(executable_path=executable, args=[*sandbox, *arguments])

    def open(self, address, width=1360, height=900, prepare=None, **options):
        """`prepare` is called with the context, before there is a page."""
        context = self.chromium.new_context(viewport={"width": width, "height": height}, **options)
        if prepare:
            prepare(context)
        return Page(context, address)

    def close(self):
        self.chromium.close()
        if self.is_driver_mine:
            self.playwright.stop()


class Page:
    """A page, and everything that went wrong on it."""

    def __init__(self, context, address):
        self.context = context
        self.requests = []
        self.complaints = []
        context.set_default_timeout(10_000)
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: message.type in ("error", "warning")
                     and self.complaints.append(message.text))
        self.page.goto(address)

    def wait_until_live(self):
        self.page.wait_for_selector("#link[data-state=live]")

    def rows(self):
        """What stands in the rows that are elements, newest first: type, node and data of each."""
        return self.evaluate("""() => [...document.querySelectorAll('.row:not([hidden])')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
            .map((row) => ['.type', '.node', '.data'].map((name) => row.querySelector(name).textContent.trim()).join(' '))""")

    def wait_for_row(self, text, within=10.0):
        self.page.wait_for_function(
            "text => [...document.querySelectorAll('.row:not([hidden])')].some(row => row.textContent.includes(text))",
            arg=text, timeout=within * 1000)

    def row(self, text):
        return self.page.locator(".row:not([hidden])", has_text=text).first

    def wait_for_status(self, pattern):
        self.page.wait_for_function("text => new RegExp(text).test(document.querySelector('#list-status').textContent)",
                                    arg=pattern)

    def wait_for_address(self, query):
        """The open event aside."""
        self.page.wait_for_function("""query => {
            const found = new URLSearchParams(location.search);
            found.delete('event');
            return (found.size ? '?' + found : '') === query;
        }""", arg=query)

    def shift_clock(self, seconds):
        """What time it is for the page's scripts, from now on."""
        self.evaluate("""(seconds) => {
            const real = Date.now;
            Date.now = () => real() + seconds * 1000;
        }""", seconds)

    def scroll_down(self):
        """To the last row that is loaded. Returns whether there is none behind it in the stream."""
        return self.evaluate("""() => {
            const list = document.querySelector('#list');
            list.scrollTop = list.scrollHeight;
            return document.querySelector('#list-status').textContent.includes('that is all there is');
        }""")

    def hide(self, is_hidden):
        """As when another tab is looked at: a headless browser shows all of its tabs."""
        self.evaluate("""(isHidden) => {
            Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }""", is_hidden)

    def evaluate(self, script, argument=None):
        return self.page.evaluate(script, argument)

    def close(self):
        self.context.close()
