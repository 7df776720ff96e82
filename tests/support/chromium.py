"""Headless Chromium over its DevTools pipe: pages are opened, asked and photographed as a person would see them."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


class Chromium:
    """One browser with one page; `events` are what it told since the page was opened."""

    def __init__(self, profile: Path) -> None:
        asked, self._asked = os.pipe()
        self._told, told = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        offline = ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
        assert CHROMIUM
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{asked} 4>&{told}', CHROMIUM, *options, *offline, "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(asked, told), stderr=subprocess.DEVNULL)
        os.close(asked)
        os.close(told)
        self._number, self._rest, self._session = 0, b"", None
        self.events: list[Any] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._asked, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._heed(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url, width=1280, height=900, dark=False, media="screen"):
        self.events = []
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._heed(self._next())

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def told(self, method):
        return [event["params"] for event in self.events if event["method"] == method]

    def photograph(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._asked)
        os.close(self._told)

    def _heed(self, event):
        self.events.append(event)
        if event["method"] == "Page.javascriptDialogOpening":  # an open dialog would stop the page
            self._number += 1
            answer = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
            os.write(self._asked, json.dumps(answer | {"sessionId": self._session}).encode() + b"\0")

    def _next(self):
        while b"\0" not in self._rest:
            more = os.read(self._told, 1 << 16)
            assert more, "Chromium is gone"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
