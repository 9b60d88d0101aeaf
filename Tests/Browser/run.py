"""Runs the dashboard's tests in the browser: `run.py [pattern of a test's name]`. A test that is skipped, and a run
without tests, fail."""
import sys
import time
import unittest
from pathlib import Path


class TimedResult(unittest.TextTestResult):
    """Says how long each test took."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok, {time.monotonic() - self.began:.1f} s")


def main():
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{pattern}*" for pattern in sys.argv[1:]] or None
    suite = loader.discover(str(Path(__file__).parent))
    result = unittest.TextTestRunner(verbosity=2, resultclass=TimedResult).run(suite)
    if result.testsRun == 0:
        print("no test was run", file=sys.stderr)
    return 0 if result.wasSuccessful() and result.testsRun and not result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
