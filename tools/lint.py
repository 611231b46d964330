#!/usr/bin/python3
"""What the compiler does not check: doors to time and chance, coroutine traps, file sizes, words that must not be committed.

usage: tools/lint.py [--self-test]     Prints each breach as file:line: what, and what to use instead; exit 1 if any.
"""

import bisect
import pathlib
import re
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 700

# Simulation is only possible while nothing but base and io asks the machine for time, chance or its environment.
BANNED = [
    (r"\b(steady_clock|system_clock|high_resolution_clock)::now\b", "take the Clock port of base/time.h"),
    (r"\brandom_device\b|\b(?:std::)?s?rand\s*\(\s*\)", "take the Rng port of base/rng.h"),
    (r"\b(?:secure_)?getenv\b", "read the environment in cmd's mains or through base"),
    (r"\bsleep_(?:for|until)\b|\bu?sleep\s*\(|\bnanosleep\b", "wait on a condition, or io's timers"),
]
DOORS = {"base", "io"}

# Not spelled out in one piece, so that this file passes its own check.
MACHINE_WORDS = [
    (re.compile(r"(?<![\w$}\"'.*-])/(?:work|root|opt/peers)/"), "a path of one machine"),
    (re.compile(r"https?://[a-z0-9.-]*(?:registry|proxy|mirror|maven|crates|debian|pypi|pythonhosted)[a-z0-9.-]*[/: ]"),
     "the host of a package registry"),
    (re.compile(r"\b(?:deb|snapshot|security)\.debian\.o[r]g\b|\brepo1?\.maven\b|\bproxy\.golang\b"),
     "the host of a package registry"),
]
TEXT = {".h", ".cc", ".py", ".sh", ".md", ".cmake", ".txt", ".proto", ".java", ".xml", ".json", ".sql", ".js", ".html",
        ".css", ".yaml", ".yml", ".service", ""}


def blank(text):
    """The C++ text with comments, strings and character literals blanked; offsets and newlines stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                         re.S)
    def replace(match):
        found = match.group(0)
        hollow = re.sub(r"[^\n]", " ", found)
        return hollow if found.startswith("/") else '"' + hollow[1:-1] + '"' if len(found) > 1 else hollow
    return pattern.sub(replace, text)


def matching(text, start):
    """Offset just after the bracket that closes the one at `start`."""
    opens, closes, depth = "([{", ")]}", 0
    for at in range(start, len(text)):
        if text[at] in opens:
            depth += 1
        elif text[at] in closes:
            depth -= 1
            if depth == 0:
                return at + 1
    return len(text)


def lambdas(text):
    """(capture list, body start, body end) of each lambda in blanked text."""
    for match in re.finditer(r"\[", text):
        before = text[:match.start()].rstrip()
        if text[match.start():match.start() + 2] == "[[" or before.endswith("["):
            continue
        word = re.search(r"(\w+)$", before)
        if before and (before[-1] in ")]" or (word and word.group(1) not in ("return", "co_return", "co_await", "else"))):
            continue  # a subscript, not an introducer
        end = matching(text, match.start())
        capture = text[match.start() + 1:end - 1].strip()
        at = end
        while at < len(text) and text[at].isspace():
            at += 1
        if at < len(text) and text[at] == "(":
            at = matching(text, at)
        body = re.compile(r"[^;{}()]*(?:\([^()]*\)[^;{}()]*)*\{").match(text, at)
        if body:
            yield capture, body.end() - 1, matching(text, body.end() - 1)


def hollow_lambda_bodies(text):
    """The text with every lambda's body blanked: what is left belongs to the enclosing function alone."""
    chars = list(text)
    for _, start, end in lambdas(text):
        for at in range(start + 1, end - 1):
            if chars[at] != "\n":
                chars[at] = " "
    return "".join(chars)


def statement_start(text, at):
    """Offset where the statement that holds `at` begins."""
    depth = 0
    for index in range(at - 1, -1, -1):
        char = text[index]
        if char in ")]":
            depth += 1
        elif char in "([":
            depth -= 1
        elif char in ";{}" and depth <= 0:
            return index + 1
    return 0


def coroutine_breaches(text):
    """(offset, what) for each use of co_await that gcc 12 is known to compile wrongly, or that dangles."""
    for capture, start, end in lambdas(text):
        own = hollow_lambda_bodies(text[start + 1:end - 1])
        if capture and re.search(r"\bco_(?:await|return|yield)\b", own):
            yield start, "a coroutine lambda with captures: its frame outlives them; make it a named function"
    previous_start = None
    for match in re.finditer(r"\bco_await\b", text):
        begin = statement_start(text, match.start())
        before = text[begin:match.start()]
        if begin == previous_start and ";" not in text[begin:match.start()]:
            yield match.start(), "more than one co_await in a statement: gcc 12 destroys temporaries wrongly"
        previous_start = begin
        if re.search(r"\b(?:ASSIGN_OR_RETURN|RETURN_IF_ERROR)\s*\(", before):
            yield match.start(), "co_await inside a macro: await into a named variable first"
        depth, at, inside = 0, match.end(), None
        while at < len(text):
            char = text[at]
            if char in "([":
                if char == "[" and not re.search(r"[\w)\]]\s*$", text[match.end():at]):
                    inside = inside or "a lambda"
                depth += 1
            elif char in ")]":
                if depth == 0:
                    break
                depth -= 1
            elif char == "{":
                if depth == 0:
                    inside = inside or (None if text[match.end():at].rstrip().endswith(")") and ")" not in before else "braces")
                    break
                inside = inside or "braces"
                at = matching(text, at) - 1
            elif char == "?":
                inside = inside or "?:"
            elif char == ";" or (char == "," and depth == 0):
                break
            at += 1
        if "?" in before and "?:" not in (inside or ""):
            inside = inside or "?:"
        if inside:
            yield match.start(), f"{inside} in a co_await expression: build it in a named variable first"


def check_source(path, text):
    breaches = []
    clean = blank(text)
    starts = [0] + [match.end() for match in re.finditer("\n", clean)]
    def say(offset, what):
        breaches.append(f"{path}:{bisect.bisect_right(starts, offset)}: {what}")
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 1 and parts[1] not in DOORS:
        for pattern, instead in BANNED:
            for match in re.finditer(pattern, clean):
                if parts[1] == "cmd" and "getenv" in match.group(0):
                    continue
                say(match.start(), f"{match.group(0).strip()}: {instead}")
    for offset, what in coroutine_breaches(clean):
        say(offset, what)
    return breaches


def check_file(path, text):
    breaches = []
    if path.endswith((".h", ".cc")):
        breaches += check_source(path, text)
    if path.endswith((".h", ".cc", ".py", ".java")) and text.count("\n") > MAX_LINES:
        breaches.append(f"{path}: {text.count(chr(10))} lines, at most {MAX_LINES}: split it by concept")
    if path not in ("LICENSE",):
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in MACHINE_WORDS:
                if pattern.search(line):
                    breaches.append(f"{path}:{number}: {what}: {pattern.search(line).group(0).strip()}")
    return breaches


def self_test():
    good = [
        "Task<int> F() { auto x = co_await G(a, b); auto y = co_await H(x[1]); co_return x + y; }",
        "void F() { auto f = [a](int x) { return a + x; }; }",
        "auto f = [](int x) -> Task<int> { co_return x; };",
        'void F() { Say("co_await { ? }"); } // co_await { ? }',
        "void F() { Post([&loop] { Spawn([](int x) -> Task<void> { co_await G(x); }); }); }",
        "Task<void> F() { if (!ok) { co_await G(); } while (true) { auto r = co_await H(); if (!r) co_return; } }",
        "Task<void> F() { for (;;) co_await G(); }",
    ]
    bad = [
        "Task<int> F() { auto x = co_await G(co_await H()); }",
        "Task<int> F() { auto x = co_await G() + co_await H(); }",
        "void F() { auto f = [a]() -> Task<int> { co_return a; }; }",
        "Task<int> F() { auto x = co_await G(a ? b : c); }",
        "Task<int> F() { auto x = a ? co_await G() : b; }",
        "Task<int> F() { auto x = co_await G(Options{1, 2}); }",
        "Task<int> F() { auto x = co_await G({1, 2}); }",
        "Task<int> F() { auto x = co_await G([](int a) { return a; }); }",
        "Task<int> F() { RETURN_IF_ERROR(co_await G()); }",
        "int F() { return std::chrono::steady_clock::now(); }",
        "void F() { usleep(3); }",
    ]
    for text in good:
        assert not check_source("src/x/a.cc", text), (text, check_source("src/x/a.cc", text))
    for text in bad:
        assert check_source("src/x/a.cc", text), text
    assert check_file("a.md", "see /wo" + "rk/main") and not check_file("a.md", "$DIR/ro" + "ot/bin, base/work/x")


def tracked():
    """Files of the repository, new ones that are not ignored included."""
    listing = subprocess.run(["git", "-c", f"safe.directory={REPO}", "ls-files", "-co", "--exclude-standard"], cwd=REPO,
                             capture_output=True, text=True, check=True)
    return sorted(set(listing.stdout.splitlines()))


def main():
    self_test()
    if "--self-test" in sys.argv:
        return 0
    breaches, files = [], 0
    for name in tracked():
        path = REPO / name
        if path.suffix in TEXT and path.is_file() and not path.is_symlink():
            try:
                text = path.read_text()
            except UnicodeDecodeError:
                continue
            files += 1
            breaches += check_file(name, text)
    print("\n".join(breaches) if breaches else f"lint: {files} files, nothing to complain of")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
