"""One Chromium for all tests of the console, and the node program that steers it."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading

from local_cluster import REPO

HERE = REPO / "tests" / "console"
SCREENSHOTS = REPO / "build" / "console-screenshots"


class Chromium:
    """with Chromium() as browser: browser.case("pages", url, primary="zone1-0000000100")"""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="paceline-chromium-")
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
             f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        said = []
        for line in self.process.stderr:
            said.append(line)
            if match := re.search(r"DevTools listening on (ws://\S+)", line):
                self.websocket = match.group(1)
                # Else it stops once the pipe is full.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return self
        raise AssertionError("chromium did not start:\n" + "".join(said[-20:]))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.profile, ignore_errors=True)

    def start(self, case, url, **given):
        """Begins a case; `finish` waits for it."""
        argv = ["node", HERE / "browse.mjs", case, self.websocket, url, SCREENSHOTS, json.dumps(given)]
        return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def wait_ready(running):
        """Until the case has said that it looks."""
        said = []
        for line in running.stdout:
            said.append(line)
            if line.strip() == "ready":
                return
        raise AssertionError("".join(said))

    @staticmethod
    def finish(running, seconds=400):
        output, _ = running.communicate(timeout=seconds)
        print(output)
        assert running.returncode == 0, output

    def case(self, case, url, **given):
        self.finish(self.start(case, url, **given))
