"""An OpenAI-compatible server on loopback that fails as it is told to."""

import json
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVER_WORDS = "the model has other plans"
SILENCE = 3.0  # seconds without a byte


def completion(text, first_token=None):
    """A chat completion; `first_token` are its log-probabilities: token -> logprob, the first one is what was said."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if first_token:
        top = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in first_token.items()]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


class FlakyServer:
    """`plan(content, attempt)` says what the last turn's content gets at its nth attempt (from 0).

    A number: that status, with the server's words; (number, headers): with headers besides; "silence", "cut" (no byte
    comes), "torn" (half a body), "pass" (what the server `behind` answers); a text: that body; anything else: that
    value as JSON.
    """

    def __init__(self, plan, behind=None):
        self.plan, self.behind, self.lock = plan, behind, threading.Lock()
        self.bodies, self.headers = [], []
        self.attempts: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0

    def __enter__(self):
        owner = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                owner.serve(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, door):
        body = json.loads(door.rfile.read(int(door.headers["content-length"])))
        content = body["messages"][-1]["content"]
        with self.lock:
            attempt = self.attempts[content]
            self.attempts[content] += 1
            self.bodies.append(body)
            self.headers.append(dict(door.headers))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            fate = self.plan(content, attempt)
            send(door, self.passed(body, door.headers["authorization"]) if fate == "pass" else fate)
        finally:
            with self.lock:
                self.at_once -= 1

    def passed(self, body, authorization):
        headers = {"content-type": "application/json", "authorization": authorization}
        request = urllib.request.Request(f"{self.behind}/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()


def send(door, fate):
    status, headers, value = 200, {}, fate
    if isinstance(fate, tuple):
        (status, headers), value = fate, {"error": {"message": SERVER_WORDS}}
    elif isinstance(fate, int):
        status, value = fate, {"error": {"message": SERVER_WORDS}}
    if fate == "silence":
        time.sleep(SILENCE)
    if fate in ("silence", "cut"):
        door.close_connection = True
        return
    data = (value if isinstance(value, str) and value != "torn" else json.dumps(value)).encode()
    door.send_response(status)
    for name, text in {"content-type": "application/json", **headers}.items():
        door.send_header(name, text)
    door.send_header("content-length", str(len(data) + (100 if fate == "torn" else 0)))
    door.end_headers()
    door.wfile.write(data)
    door.close_connection = fate == "torn"
