"""Two hundred names that no file, market, venue, view or job should be looked for under, and where the API takes names."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

Schema = dict[str, Any]

_UP = ["../" * n + file for n in (1, 2, 3, 6, 12) for file in ("etc/passwd", "app.py", ".env", "data/live")]
_SCREENED = ["..", ".", "./", "../", "..;/etc/passwd", "....//....//etc/passwd", "..\\..\\etc\\passwd", "..%2f..%2fetc%2fpasswd",
             "%2e%2e", "%2e%2e/%2e%2e/etc/passwd", "%252e%252e%252fetc%252fpasswd", "%c0%ae%c0%ae/etc/passwd", "..%c0%afetc",
             "..%00/etc/passwd", "．．／etc／passwd", "‥/etc/passwd", "BTC-USDT/../../etc/passwd", "tape.dope/../../../etc/passwd",
             "BTC-USDT%2f.."]  # fmt: skip
_ABSOLUTE = ["/etc/passwd", "//etc/passwd", "/proc/self/environ", "/proc/self/cmdline", "/dev/zero", "/dev/stdin", "/dev/random",
             "/tmp", "file:///etc/passwd", "C:\\Windows\\win.ini", "\\\\host\\share\\x", "\\\\?\\C:\\x", "~/.ssh/id_rsa", "~root",
             "$HOME/.env", "http://127.0.0.1:1/x", "s3://bucket/x", "jar:file:///x!/y"]  # fmt: skip
_CONTROL = ["BTC-USDT\n", "\nBTC-USDT", "BTC-USDT\r\nSet-Cookie: a=b", "BTC\x00USDT", "\x00", "BTC-USDT\x00.dope", "a\tb", "\x1b[2J",
            "\x07", "\x7f", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", " ", "", " BTC-USDT", "BTC-USDT ", "BTC-USDT.",
            "a\\x00b"]  # fmt: skip
_UNICODE = ["BTC-USDT\u0661", "１２３", "１", "²", "٣", "१२", "Ⅷ", "ＢＴＣ-ＵＳＤＴ", "BTC‐USDT", "BTC−USDT", "ВТС-USDT",
            "\u202eTDSU-CTB", "BTC\u200bUSDT", "BTC\u2060-USDT", "\ufeffBTC", "\u2066x\u2069", "é", "e\u0301", "ß", "ı", "İ", "ﬀ",
            "日本", "😀", "👨‍👩‍👧", "\U000e0041", "Z" + "\u0301" * 50, "\ufffe", "\uffff", "K"]  # fmt: skip
_OPTIONS = ["-rf", "--help", "-", "--", "-o/tmp/x", "--tape=/etc/passwd", "-BTC", "@/etc/passwd", "+x", "=1+1", "|id", ";id", "&id",
            "`id`", "$(id)", "${IFS}id", "a;b", "a|b", "a&b", "a b", "a'b", 'a"b', "*", "?", "[a-z]", "{a,b}", "!", "#", "#x", "%",
            "%%", "%s%n", "{0}", "{message}", "{symbol}", "${jndi:ldap://x}", "<x>", "%zz", "a?b=c", "a#b", "a&b=c"]  # fmt: skip
_DEVICES = ["CON", "con", "NUL", "NUL.dope", "COM1", "LPT1", "AUX", "PRN", "CLOCK$", "CON.txt", "desktop.ini", ".git", ".git/config",
            ".env", ".htaccess", "Thumbs.db", "x:y", "x::$DATA", "~"]  # fmt: skip
_QUERIES = ["' OR 1=1 --", "'; DROP TABLE views; --", "1); SELECT 1; --", "' UNION SELECT * FROM read_csv('/etc/passwd') --",
            "COPY x TO '/tmp/x'", "read_parquet('/etc/passwd')", "\\' OR 1=1", "1 OR 1=1", "admin'--", "%' LIKE '%"]  # fmt: skip
_SCRIPTS = ["<script>alert(1)</script>", "javascript:alert(1)", "<img src=x onerror=alert(1)>", "{{7*7}}", "<%= 7 %>", "__proto__",
            "constructor", "toString", "__class__", "__init__", "None", "null", "undefined", "true", "NaN", "Infinity",
            "-Infinity"]  # fmt: skip
_NUMBERS = ["0", "-0", "-1", "00", "01", "1e9", "1e999", "0x10", "1_000", "1.0", "9" * 20, "9" * 400, "9" * 5000,
            "9223372036854775808", "18446744073709551616", "-9223372036854775809", "1;1", "+1"]  # fmt: skip
_TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00.1+23:59", "2026-02-30",
          "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:٣٣.1Z", "2026-01-01T00:00:00.٣Z",
          "2262-04-12T00:00:00Z", "1677-01-01"]  # fmt: skip
_LONG = ["A" * 33, "A" * 65, "A" * 129, "A" * 4_000, "A" * 100_000, "../" * 30_000, "\U0001f600" * 10_000, "a/" * 2_000, "-" * 1_000,
         "[" * 3_000]  # fmt: skip
NAMES: tuple[str, ...] = tuple(
    dict.fromkeys(
        [*_UP, *_SCREENED, *_ABSOLUTE, *_CONTROL, *_UNICODE, *_OPTIONS, *_DEVICES, *_QUERIES, *_SCRIPTS, *_NUMBERS, *_TIMES, *_LONG]
    )
)

#: what reaches the inside, by the name of the parameter or field
MEANT = {
    "symbol": "BTC-USDT", "form": "csv", "kind": "bbo", "page": "live", "name": "mine", "verb": "pause", "from": "1000", "until": "2000",
    "to": "1500", "a": "1100", "b": "1200", "token": "x" * 16,
}  # fmt: skip


class Place(NamedTuple):
    """Where one name goes: ``path`` with the name as ``{}``, or ``spot`` inside ``body``."""

    method: str
    path: str
    query: dict[str, str]
    body: Any = None
    spot: tuple[Any, ...] = ()
    form: bool = False

    def request(self, name: str) -> tuple[str, str, bytes | None, str]:
        """(method, target, body, content type) with the name at its place."""
        target = self.path.replace("{}", quote(name, safe=""))
        query = {key: name if value == "{}" else value for key, value in self.query.items()}
        target += "?" + urlencode(query) if query else ""
        if self.body is None:
            return self.method, target, None, ""
        if self.form:
            return self.method, target, urlencode({**self.body, self.spot[0]: name}).encode(), "application/x-www-form-urlencoded"
        return self.method, target, json.dumps(put(self.body, self.spot, name)).encode(), "application/json"


class Key(NamedTuple):
    """A step to a key of an object that is to be the name itself."""

    of: str


def put(body: Any, spot: tuple[Any, ...], name: str) -> Any:
    """A copy of ``body`` with ``name`` at ``spot``."""
    if not spot:
        return name
    changed = copy.copy(body)
    step, *rest = spot
    if isinstance(step, Key):
        changed[name] = changed.pop(step.of)
    else:
        changed[step] = put(changed[step], tuple(rest), name)
    return changed


def places(description: Schema) -> Iterator[Place]:
    """Every parameter and every value and key of every body that an OpenAPI description tells of."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield from _of_operation(description, method.upper(), path, operation)


def _of_operation(description: Schema, method: str, path: str, operation: Schema) -> Iterator[Place]:
    parameters = operation.get("parameters", [])
    usual = path
    for parameter in parameters:
        if parameter["in"] == "path":
            usual = usual.replace(f"{{{parameter['name']}}}", _usual(parameter))
    needed = {p["name"]: _usual(p) for p in parameters if p["in"] == "query" and (p.get("required") or p["name"] == "symbol")}
    bodies = list(_bodies(description, operation)) or [(None, ())]
    for parameter in parameters:
        name = parameter["name"]
        others = {**needed, name: "{}"} if parameter["in"] == "query" else needed
        at = usual
        if parameter["in"] == "path":
            at = path.replace(f"{{{name}}}", "{}")
            for other in parameters:
                at = at.replace(f"{{{other['name']}}}", _usual(other))
        yield Place(method, at, others, bodies[0][0])
    for body, spots in bodies:
        for spot in spots:
            yield Place(method, usual, needed, body, spot)


def _usual(parameter: Schema) -> str:
    return MEANT.get(parameter["name"]) or str(sample({}, parameter["schema"]))


def _bodies(description: Schema, operation: Schema) -> Iterator[tuple[Any, list[tuple[Any, ...]]]]:
    """(a body, the places in it) of every form that the body may have."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for form in _forms(description, content["schema"]):
            yield sample(description, form), [(), *spots(description, form)]


def _resolved(description: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _forms(description: Schema, schema: Schema) -> list[Schema]:
    """All that a schema may be, without null."""
    schema = _resolved(description, schema)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if not choices:
        return [] if schema.get("type") == "null" else [schema]
    return [form for choice in choices for form in _forms(description, choice)]


def sample(description: Schema, schema: Schema, name: str = "") -> Any:
    """A value that the schema allows, everything optional included; ``name`` is that of its field."""
    schema = _forms(description, schema)[0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            return {step: sample(description, part, step) for step, part in _parts(description, schema).items()}
        case "array":
            return [sample(description, schema["items"])]
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return False
    return MEANT.get(name, "x")


def _parts(description: Schema, schema: Schema) -> dict[str, Schema]:
    """The fields of an object; one that has any key has one called ``key``."""
    parts = dict(schema.get("properties", {}))
    free = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    usable = [part for part in free if isinstance(part, dict) and _forms(description, part)]
    return parts | ({"key": usable[0]} if usable else {})


def spots(description: Schema, schema: Schema) -> Iterator[tuple[Any, ...]]:
    """The ways to every value and to every free key of ``sample(schema)``."""
    schema = _forms(description, schema)[0]
    steps: dict[Any, Schema] = {0: schema["items"]} if schema.get("type") == "array" else dict(_parts(description, schema))
    if "key" in steps and "key" not in schema.get("properties", {}):
        yield (Key("key"),)
    for step, part in steps.items():
        yield (step,)
        yield from ((step, *rest) for rest in spots(description, part))
