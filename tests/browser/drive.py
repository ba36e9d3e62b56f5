"""Drives headless Chromium against the programs: the page of the echo servers, and the rows of features that need a page.

usage: drive.py CHROMIUM FOLDER      (where the programs lie)
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import echo
import features
from chromium import Trouble


def main() -> None:
    chromium, programs = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tests/browser: terminated"))  # so that all is cleaned up
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        for module in echo, features:
            for heading, checks in module.groups(chromium, Path(programs), Path(folder)):
                print(f"{heading}:", flush=True)
                for name, check in checks():
                    try:
                        check()
                    except (Trouble, TimeoutError, OSError, subprocess.TimeoutExpired) as trouble:
                        print(f"FAILED: {name}: {trouble}", flush=True)
                        failed += 1
                    else:
                        print(f"ok: {name}", flush=True)
                        passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
