"""Keys and passwords stay where the user put them: nothing that a run prints or writes repeats one, in any encoding."""

import base64
import json
import os
import random
import string
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.errors import REDACTED, redact, redact_known, redact_table, remember_secret, remember_secrets
from quorum.kaggle.secret import find_secrets
from tests.support.flaky_server import FlakyServer, completion
from tests.support.paths import ROOT
from tests.support.verb import run_verb

DRAW = random.Random(19)


def draw(alphabet: str, length: int) -> str:
    return "".join(DRAW.choices(alphabet, k=length))


LETTERS, HEX = string.ascii_letters + string.digits, "0123456789abcdef"
# Made-up keys of the shapes that services give out.
SHAPES = {
    "Groq": "gsk_" + draw(LETTERS, 52),
    "Perplexity": "pplx-" + draw(HEX, 48),
    "xAI": "xai-" + draw(LETTERS, 80),
    "Replicate": "r8_" + draw(LETTERS, 37),
    "NVIDIA": "nvapi-" + draw(LETTERS, 64),
    "Fireworks": "fw_" + draw(LETTERS, 24),
    "Cerebras": "csk-" + draw(LETTERS.lower(), 48),
    "Together": "tgp_v1_" + draw(LETTERS, 43),
    "OpenAI": "sk-proj-" + draw(LETTERS, 48),
    "Anthropic": "sk-ant-api03-" + draw(LETTERS, 93),
    "OpenRouter": "sk-or-v1-" + draw(HEX, 64),
    "Slack webhook": "https://hooks.slack.com/services/T"
    + draw(LETTERS, 8)
    + "/B"
    + draw(LETTERS, 8)
    + "/"
    + draw(LETTERS, 24),
    "Discord webhook": f"https://discord.com/api/webhooks/{draw(string.digits, 18)}/{draw(LETTERS, 68)}",
    "Discord webhook, old": f"https://discordapp.com/api/webhooks/{draw(string.digits, 18)}/{draw(LETTERS, 68)}",
    "Slack token": f"xoxb-{draw(string.digits, 12)}-{draw(string.digits, 12)}-{draw(LETTERS, 24)}",
    "Slack app": f"xapp-1-A{draw(LETTERS, 9)}-{draw(string.digits, 12)}-{draw(HEX, 64)}",
    "Discord bot": f"M{draw(LETTERS, 23)}.{draw(LETTERS, 6)}.{draw(LETTERS, 27)}",
    "Telegram": f"{draw(string.digits[1:], 9)}:AA{draw(LETTERS, 33)}",
    "hex of 32 digits": "a1" + draw(HEX, 30),
    "hex of 40 digits": "a1" + draw(HEX, 38),
    "hex of 64 digits": "a1" + draw(HEX, 62),
    "SendGrid": f"SG.{draw(LETTERS, 22)}.{draw(LETTERS, 43)}",
    "Stripe": "sk_live_" + draw(LETTERS, 24),
    "Twilio": "SK" + draw(HEX, 32),
    "GitLab": "glpat-" + draw(LETTERS, 20),
    "GitHub": "ghp_" + draw(LETTERS, 36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + draw(LETTERS, 60),
    "AWS": "AKIA" + draw(string.ascii_uppercase, 16),
    "Google": "AIza" + draw(LETTERS, 35),
    "Google OAuth": "ya29." + draw(LETTERS, 60),
    "Hugging Face": "hf_" + draw(LETTERS, 34),
    "Hugging Face organisation": "api_org_" + draw(LETTERS, 34),
    "Kaggle": "KGAT_" + draw(HEX, 32),
    "LangSmith": "lsv2_pt_" + draw(HEX, 32) + "_" + draw(HEX, 10),
    "DigitalOcean": "dop_v1_" + draw(HEX, 64),
    "JWT": "eyJ" + draw(LETTERS, 30) + ".eyJ" + draw(LETTERS, 60) + "." + draw(LETTERS, 40),
    "signed address": "https://example.org/x?sig=" + draw(LETTERS, 43),
    "address with a password": f"postgres://ada:{draw(LETTERS, 12)}@db.example.org/x",
}


@pytest.mark.parametrize("service", SHAPES)
def test_the_key_of_a_service_is_found_in_a_source(service: str) -> None:
    assert find_secrets(f'x = "{SHAPES[service]}"') != []


def test_nothing_in_our_own_sources_is_taken_for_a_secret() -> None:
    paths = [
        path
        for folder in ("src", "kernels", "scripts", "examples", "benchmarks", "docs", "locks")
        for path in (ROOT / folder).rglob("*")
    ]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in paths
        if path.suffix in (".py", ".toml", ".md", ".txt", ".js")
    }
    assert len(texts) > 300
    assert {path: found for path, text in texts.items() if (found := find_secrets(text))} == {}


@pytest.mark.parametrize("service", [name for name in SHAPES if not name.startswith("hex") and name != "Twilio"])
def test_the_key_of_a_service_is_removed_from_a_message(service: str) -> None:
    secret = SHAPES[service].split("@")[0].split(":")[-1]
    assert secret[-12:] not in redact(f"refused: {SHAPES[service]} is not valid")
    assert REDACTED in redact(f"refused: {SHAPES[service]} is not valid")


SECRET = "correct horse/battery+staple"


@given(before=st.text(max_size=9), after=st.text(max_size=9))
def test_a_known_secret_is_removed_in_every_encoding(before: str, after: str) -> None:
    remember_secret(SECRET)
    whole = f"{before}{SECRET}{after}".encode(errors="replace")
    for text in (
        SECRET,
        quote(SECRET, safe=""),
        base64.b64encode(whole).decode(),
        base64.urlsafe_b64encode(whole).decode(),
    ):
        shown = redact_known(f"<{text}>")
        assert text not in shown
        assert SECRET.encode() not in base64.b64decode(shown.strip("<>=") + "==", altchars=b"-_")


def test_addresses_and_headers_lose_their_passwords_and_all_else_stays() -> None:
    plain = "GET https://example.org:8000/v1?a=b failed; mail ada@example.org; 3 of 5 at C:/x, basic facts, key=value"
    assert redact(plain) == plain
    assert redact("http://ada:pw@h:1/v1 ftp://tok3n@h") == f"http://{REDACTED}@h:1/v1 ftp://{REDACTED}@h"
    header = f"Authorization: Basic {base64.b64encode(b'ada:pw').decode()}"
    assert redact(header) == f"Authorization: Basic {REDACTED}"
    assert redact(f"Bearer {'a1b2' * 5}") == REDACTED


def test_settings_lose_values_that_are_named_as_secrets() -> None:
    table = {
        "extra": {"api_key": "letmein", "X-Api-Key": "letmein", "headers": [{"Authorization": "letmein"}], "n": 3},
        "base_url": "http://ada:letmein@h/v1",
        "key_variable": "OPENAI_API_KEY",
        "max_new_tokens": 16,
        "tokens": ["a"],
    }
    clean = redact_table(table)
    assert "letmein" not in json.dumps(clean)
    assert (clean["key_variable"], clean["max_new_tokens"], clean["tokens"]) == ("OPENAI_API_KEY", 16, ["a"])
    remember_secrets({"extra": {"api_key": "from-the-extra"}, "url": "http://ada:p%40ss-word@h/v1"})
    assert redact_known("from-the-extra p@ss-word p%40ss-word") == " ".join([REDACTED] * 3)


KEY, PASSWORD, INNER = "plainwordkey-without-a-shape", "hunter2pass", "sesame-in-extra"
MEMBER = """run = "{name}"
questions = ["x"]
out = "o"
limits.batch = 4
[backend]
name = "endpoint"
model = "m"
base_url = "{url}"
method = "generate"
retries = 0
concurrency = 1
{key}
extra = {{api_key = "{inner}"}}
"""


def list_forms(secret: str) -> list[bytes]:
    """Return a secret in the encodings that a server may echo, base64 at each of its three alignments."""
    inside = [base64.b64encode(b"x" * n + secret.encode())[4:-4] for n in range(3)]
    return [secret.encode(), quote(secret, safe="").encode(), *inside]


def read_everything(folder: Path) -> bytes:
    """Return the bytes of all files below a folder, those of deflated and of compressed columns unpacked."""
    import polars as pl

    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [os.fsencode(path), content]
            if path.suffix == ".parquet":
                found.append(json.dumps(pl.read_parquet(content).to_dicts(), default=str, ensure_ascii=False).encode())
            for part in content.split(b'"')[1::2] if path.suffix == ".html" else ():
                try:
                    found.append(zlib.decompress(base64.b64decode(part, validate=True), 31))
                except (ValueError, zlib.error):
                    continue
    return b"\n".join(found)


@pytest.mark.slow
def test_nothing_that_a_run_leaves_behind_repeats_a_key(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    rows = [f"q{n},Which of the {n} doors is {chr(97 + n % 26) * 4}?,red {n},blue {n}" for n in range(24)]
    (tmp_path / "c" / "train.csv").write_text("\n".join(["id,question,A,B,answer", *(f"{row},A" for row in rows[:16])]))
    (tmp_path / "c" / "test.csv").write_text("\n".join(["id,question,A,B", *rows[16:]]))
    (tmp_path / "c" / "sample_submission.csv").write_text("\n".join(["id,answer", *(f"q{n},A" for n in range(16, 24))]))

    def plan(content: str, attempt: int) -> object:
        headers = server.headers[-1] if server.headers else {}
        echoed = json.dumps({**headers, "body": server.bodies[-1]})
        packed = base64.b64encode(echoed.encode()).decode()
        if "the 17 doors" in content:
            return json.dumps({"error": {"message": f"bad request: {echoed} {packed}"}})
        return completion(f"You sent {echoed} {packed}. The answer is A")

    with FlakyServer(plan) as server:
        url = server.url.replace("//", f"//user:{PASSWORD}@")
        key = 'key_variable = "ENDPOINT_KEY"'
        (tmp_path / "m.toml").write_text(MEMBER.format(name="m", url=url, inner=INNER, key=""))
        (tmp_path / "k.toml").write_text(MEMBER.format(name="k", url=server.url, inner=INNER, key=key))
        environment = {**os.environ, "ENDPOINT_KEY": KEY}
        done = run_verb("submit", "c", "--member", "m.toml", "--member", "k.toml", cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        report = run_verb("report", "c", cwd=tmp_path, env=environment)
        assert report.returncode == 0, report.stderr
    sent = {
        text.split()[0] for each in server.headers for name, text in each.items() if name.lower() == "authorization"
    }
    assert sent == {"Basic", "Bearer"}
    refused = run_verb("submit", "c", "--member", "m.toml", "--fresh", cwd=tmp_path, env=environment)  # no server now
    assert refused.returncode == 2
    (tmp_path / "m.toml").unlink()
    (tmp_path / "k.toml").unlink()
    left = read_everything(tmp_path) + (done.stdout + done.stderr + report.stdout + refused.stderr).encode()
    assert b"ledger.jsonl" in left
    assert b"run.json" in left
    assert {form for secret in (KEY, PASSWORD, INNER) for form in list_forms(secret) if form in left} == set()


@pytest.mark.parametrize("query", ["?key=SECRETQ", "?v=1&api_key=SECRETQ", "?x-api-key=SECRETQ&v=1", "?sig=SECRETQ#a"])
def test_a_short_key_in_an_address_is_removed(query: str) -> None:
    address = f"http://host:9/v1{query}"
    assert "SECRETQ" not in redact(f"error: {address} does not answer")
    assert "v=1" in redact(address) or "v=1" not in query
    assert redact_table({"backend": {"base_url": address}})["backend"]["base_url"].startswith("http://host:9/v1?")
    assert redact("is 1+1?monkey=banana&n=2") == "is 1+1?monkey=banana&n=2"


def test_a_key_in_the_address_of_a_server_is_removed_wherever_it_is_echoed() -> None:
    remember_secrets({"base_url": "http://host:9/v1?key=qzjxwvkp1%2B2"})
    assert "qzjxwvkp" not in redact("no such user: qzjxwvkp1+2, qzjxwvkp1%2B2")
