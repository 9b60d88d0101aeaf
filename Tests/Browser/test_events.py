"""Events as they come, and those that came: the list, its filters, the address, one event whole."""
import json
import time

from case import DashboardCase
from mesh import eventually


class EventsTests(DashboardCase):
    def test_an_event_is_shown_within_a_second(self):
        page = self.open_live()
        for number in range(3):
            self.mesh.emit("user.quick", {"number": f"n{number}"})
            began = time.monotonic()
            page.wait_for_row(f"n{number}", within=1)
            self.assertLess(time.monotonic() - began, 1)

    def test_filters_and_history_and_the_address(self):
        self.mesh.emit_all([("user.many", {"number": f"m{number:04}"}, "left" if number % 2 else "right")
                            for number in range(900)])
        page = self.open_live()
        page.page.fill("#pattern", "user.many")
        page.wait_for_row("m0899")
        page.page.wait_for_selector("#node option[value=left]", state="attached")
        page.page.select_option("#node", "left")
        page.wait_for_address("?pattern=user.many&node=left")
        eventually("that node's events alone", lambda: {row.split()[1] for row in page.rows()} == {"left"})
        page.wait_for_status("^200 events")
        # To the oldest: what is older is loaded on the way, each row once and in order.
        eventually("the beginning of the history", page.scroll_down)
        page.wait_for_row("m0001")
        page.wait_for_status("^450 events")
        self.assertLess(len(page.rows()), 100)
        numbers = [row.split("number=")[1] for row in page.rows()]
        self.assertEqual(numbers, [f"m{number:04}" for number in range(2 * len(numbers) - 1, 0, -2)])
        # The text is searched for on the server too, whatever its case.
        page.page.fill("#text", "M0123")
        page.wait_for_row("m0123")
        page.wait_for_status("^One event")
        page.page.reload()
        page.wait_for_row("m0123")
        self.assertEqual([page.page.input_value(name) for name in ("#pattern", "#node", "#text")],
                         ["user.many", "left", "M0123"])
        page.page.fill("#text", "nothing at all has this")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        page.page.click("#list-empty button")
        page.wait_for_address("")
        page.wait_for_status("events")

    def test_the_type_is_a_filter_and_going_back_takes_it_off(self):
        self.mesh.emit_all([("user.wanted", {}), ("user.other", {})])
        page = self.open_live()
        page.page.wait_for_selector("#type option[value='user.wanted']", state="attached")
        page.page.select_option("#type", "user.wanted")
        page.wait_for_address("?type=user.wanted")
        page.wait_for_status("^One event")
        self.mesh.emit_all([("user.other", {}), ("user.wanted", {"number": "second"})])
        page.wait_for_row("second")
        self.assertEqual({row.split()[0] for row in page.rows()}, {"user.wanted"})
        page.page.go_back()
        page.wait_for_row("user.other")
        self.assertEqual(page.page.input_value("#type"), "")

    def test_a_pattern_that_is_none_is_named_and_nothing_is_lost(self):
        self.mesh.emit("user.kept", {})
        page = self.open_live()
        page.wait_for_row("user.kept")
        page.page.fill("#pattern", "a..b")
        page.page.wait_for_selector("#pattern-error:not([hidden])")
        self.assertEqual(page.page.get_attribute("#pattern", "aria-invalid"), "true")
        self.assertTrue(any("user.kept" in row for row in page.rows()))
        page.page.fill("#pattern", "user.kept")
        page.page.wait_for_selector("#pattern-error", state="hidden")
        page.wait_for_status("^One event")

    def test_conditions_on_the_data_filter_what_is_stored_and_what_comes(self):
        self.mesh.emit_all([("user.load", {"name": f"w{number:03}", "cpu": 0.97 if number % 100 == 7 else 0.5})
                            for number in range(400)])
        page = self.open_live("?pattern=user.load")
        page.page.fill("#where", 'cpu > 0.9 and name != "w107"')
        page.wait_for_address("?pattern=user.load&where=cpu+%3E+0.9&where=name+%21%3D+%22w107%22")
        page.wait_for_status("^3 events")
        self.assertEqual([row.split("name=")[1].split()[0] for row in page.rows()], ["w307", "w207", "w007"])
        self.mesh.emit_all([("user.load", {"name": "calm", "cpu": 0.1}), ("user.load", {"name": "busy", "cpu": 1})])
        page.wait_for_row("busy")
        self.assertFalse(any("calm" in row for row in page.rows()))
        page.page.reload()
        page.wait_for_row("w007")
        self.assertEqual(page.page.input_value("#where"), 'cpu > 0.9 and name != "w107"')
        page.page.click("#clear")
        page.wait_for_address("")
        self.assertEqual(page.page.input_value("#where"), "")

    def test_a_condition_that_is_wrong_is_named_and_nothing_is_lost(self):
        self.mesh.emit_all([("user.mended", {"heat": 0.97}), ("user.mended", {"heat": 0.5})])
        page = self.open_live("?where=heat+%3D+0.97")
        page.wait_for_status("^One event")
        page.page.fill("#where", "heat > hot")
        page.page.wait_for_selector("#where-error:not([hidden]) >> text=compare with a number")
        self.assertEqual(page.page.get_attribute("#where", "aria-invalid"), "true")
        # What held before still holds, and what was typed is still there.
        self.mesh.emit_all([("user.mended", {"heat": 0.97, "name": "next"}), ("user.mended", {"heat": 0.5})])
        page.wait_for_status("^2 events")
        page.page.select_option("#node", "tester")
        page.wait_for_address("?node=tester&where=heat+%3D+0.97")
        self.assertEqual(page.page.input_value("#where"), "heat > hot")
        page.page.fill("#where", "heat > 0.4")
        page.page.wait_for_selector("#where-error", state="hidden")
        page.wait_for_status("^4 events")
        # One that is wrong in the address is named too.
        page = self.open("?where=heat+~+1")
        page.page.wait_for_selector("#where-error:not([hidden]) >> text=is no condition")
        self.assertEqual(page.page.input_value("#where"), "heat ~ 1")
        page.page.fill("#where", "heat > 0.4")
        page.page.wait_for_selector("#where-error", state="hidden")
        page.wait_until_live()

    def test_a_row_opens_the_whole_event_digit_by_digit(self):
        long = "x" * 40_000
        line = json.dumps({"type": "user.whole", "node": "tester", "data": {"long": long, "number": "NUMBER"}})
        self.mesh.run("emit", "--from", "-", text=line.replace('"NUMBER"', "12345678901234567890.50") + "\n")
        page = self.open_live("?pattern=user.whole")
        # Too long for a list: it says how long it is.
        page.wait_for_row("bytes of data")
        page.row("user.whole").click()
        page.page.wait_for_selector("#detail pre:has-text('12345678901234567890.50')")
        self.assertIn(long, page.page.inner_text("#detail pre"))
        page.page.click("#detail button:has-text('Only this node')")
        page.wait_for_address("?pattern=user.whole&node=tester")

    def test_paused_it_stands_still_and_then_has_all(self):
        page = self.open_live("?pattern=user.pause")
        self.mesh.emit("user.pause", {"number": "q0"})
        page.wait_for_row("q0")
        page.page.click("#pause")
        page.page.wait_for_selector("#link[data-state=paused]")
        self.mesh.emit_all([("user.pause", {"number": f"q{number}"}) for number in range(1, 301)])
        page.page.wait_for_selector("#link-text:has-text('Paused, 300 new')")
        self.assertEqual(page.rows(), ["user.pause tester number=q0"])
        page.page.click("#pause")
        page.wait_for_row("q300")
        page.wait_for_status("^301 events")

    def test_what_is_read_stays_where_it_is(self):
        self.mesh.emit_all([("user.read", {"number": f"r{number:03}"}) for number in range(100)])
        page = self.open_live("?pattern=user.read")
        page.wait_for_row("r099")
        page.evaluate("() => { document.querySelector('#list').scrollTop = 900; }")
        page.wait_for_row("r060")
        where = "() => document.querySelector('#spacer').parentElement.scrollTop % 30 + ' ' + [...document.querySelectorAll('.row')]" \
            ".find((row) => row.textContent.includes('r060')).getBoundingClientRect().top"
        before = page.evaluate(where)
        self.mesh.emit_all([("user.read", {"number": f"r{number:03}"}) for number in range(100, 140)])
        page.page.wait_for_selector("#newer:has-text('40 new')")
        self.assertEqual(page.evaluate(where), before)
        page.page.click("#newer")
        page.wait_for_row("r139")

    def test_an_empty_list_says_what_to_do(self):
        page = self.open_live("?pattern=user.never")
        page.page.wait_for_selector("#list-empty >> text=No event fits these filters")
        page.page.wait_for_selector("#tools-empty >> text=mesh-events serve --config")
