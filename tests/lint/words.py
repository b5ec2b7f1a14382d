"""Words that have no place in the code, each with what to use instead."""

import re

from tree import Finding, line_of

# rule -> (pattern over code without comments and literals, what to do)
BANNED = {
    "clock": (r"\b(steady_clock|system_clock|high_resolution_clock)\b"
              r"|\babsl::(Now|GetCurrentTimeNanos|SleepFor)\b"
              r"|\bsleep_(for|until)\b"
              r"|\b(clock_gettime|gettimeofday|nanosleep|usleep)\b"
              r"|(?<![\w.:>])sleep\(|\bstd::time\(|(?<![\w.:>])time\(nullptr\)",
              "take a lory::Clock (common/base/clock.h)"),
    "raw-mutex": (r"\bstd::(recursive_|shared_|timed_)?mutex\b"
                  r"|\bstd::(condition_variable|lock_guard|unique_lock"
                  r"|scoped_lock|shared_lock)\w*",
                  "use common/base/mutex.h, which clang can check"),
    "absl-mutex": (r"\babsl::(Mutex|MutexLock|CondVar|ReaderMutexLock)\b",
                   "use common/base/mutex.h: this one confuses the thread "
                   "sanitizer"),
    "string-view": (r"\bstd::w?string_view\b|#include <string_view>",
                    "use absl::string_view: Debian's is another type"),
    "absl-optional": (r"\babsl::(optional|nullopt|make_optional)\b",
                      "use std::optional"),
    "using-namespace": (r"\busing\s+namespace\b", "name what is used"),
    "throw": (r"\bthrow\b", "return absl::Status"),
    "thread": (r"\bstd::(thread\b(?!::)|async\b)", "use std::jthread"),
    "detach": (r"\bthread\w*(\.|->)detach\(|pthread_detach",
               "join it: a thread must not outlive what it uses"),
    "random-device": (r"\brandom_device\b|(?<![\w.:>])s?rand\(",
                      "use common/base/random.h"),
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Ports below 10 are nobody's: tests dial them to be refused.
FIXED_PORT = re.compile(
    r"(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]):[1-9]\d+")


def banned(rule):
    pattern, instead = BANNED[rule]
    expression = re.compile(pattern)

    def check(tree):
        for path in tree.cxx():
            code = tree.code(path)
            for match in expression.finditer(code):
                yield Finding(path, line_of(code, match.start()),
                              f"{match.group(0)}: {instead}")
    return check


def unfinished(tree):
    for path in tree.cxx() + tree.files(".py", ".proto", ".cmake", ".sh",
                                        "CMakeLists.txt"):
        if path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if UNFINISHED.search(line):
                yield Finding(path, number, "unfinished: do it, or write down "
                              "in the docs that it is missing")


def fixed_ports(tree):
    for path in tree.cxx() + tree.files(".py", ".sh"):
        if not path.startswith("tests/") or path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if FIXED_PORT.search(line):
                yield Finding(path, number, "a fixed port: two runs at once "
                              "collide; listen on port 0 and ask for it")


RULES = {rule: banned(rule) for rule in BANNED}
RULES.update({"unfinished": unfinished, "fixed-ports": fixed_ports})
