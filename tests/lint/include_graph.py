"""Who may include whom (docs/architecture.md): arrows point down only."""

import re

from tree import Finding, includes

COMMON = ("common/base", "common/config", "common/data", "common/flags",
          "common/http", "common/io", "common/metrics", "common/rpc",
          "common/text", "proto")

# Directory -> directories it may include, besides itself. One that is not
# named here may include nothing: say where a new one stands.
EDGES = {
    "common/base": (),
    "common/flags": ("common/base",),
    "common/io": ("common/base",),
    "common/http": ("common/base",),
    "common/metrics": ("common/base",),
    "common/rpc": ("common/base", "proto"),
    "common/text": ("common/base", "common/io"),
    "common/config": ("common/base", "common/io", "proto"),
    "common/data": ("common/base", "common/io", "common/text",
                    "common/config", "proto"),
    "coordinator/state": ("common/base", "common/config", "common/data",
                          "proto"),
    "coordinator/plan": ("coordinator/state", "common/base", "common/config",
                         "common/data", "proto"),
    "coordinator/engine": COMMON + ("coordinator/plan", "coordinator/state"),
    "coordinator/rpc": COMMON + ("coordinator/engine", "coordinator/plan",
                                 "coordinator/state"),
    "coordinator/page": COMMON + ("coordinator/engine", "coordinator/plan",
                                  "coordinator/state"),
    "coordinator/metrics": COMMON + ("coordinator/engine", "coordinator/rpc",
                                     "coordinator/plan", "coordinator/state"),
    "coordinator": COMMON + ("coordinator/rpc", "coordinator/page",
                             "coordinator/metrics", "coordinator/engine",
                             "coordinator/plan", "coordinator/state"),
    "worker/device": ("common/base",),
    "worker/ops": ("common/base", "worker/device"),
    "worker/model": ("common/base", "common/config", "proto", "worker/ops",
                     "worker/device"),
    "worker/optim": ("common/base", "common/config", "proto", "worker/ops",
                     "worker/model", "worker/device"),
    "worker/collective": ("common/base", "worker/device"),
    "worker/data": ("common/base", "common/data", "common/io", "proto"),
    "worker/checkpoint": ("common/base", "common/config", "common/data",
                          "common/io", "proto", "worker/device",
                          "worker/model"),
    "worker/train": COMMON + ("worker/model", "worker/ops", "worker/optim",
                              "worker/collective", "worker/data",
                              "worker/checkpoint", "worker/device"),
    # Of worker/train only the place where LibTorch's exceptions end.
    "worker/serve": COMMON + ("worker/model", "worker/ops", "worker/device",
                              "worker/checkpoint", "worker/train"),
    "worker/daemon": COMMON,
    "tools/corpus": COMMON + ("tools/corpus/encoder",),
    "tools/corpus/encoder": COMMON,
    "tools/demo_corpus": COMMON,
    "tools/loryctl": COMMON,
    # Works on models with the trainer's code; of worker/train only the place
    # where LibTorch's exceptions end.
    "tools/model": COMMON + ("worker/model", "worker/checkpoint",
                             "worker/train", "tools/model/eval"),
    "tools/model/eval": COMMON + ("worker/model", "worker/train"),
    "tools/verify": tuple(c for c in COMMON if c not in (
        "common/rpc", "common/http", "common/metrics")),
}

TORCH = ("torch/", "ATen/", "c10/")
TORCH_PLACES = re.compile(
    r"^(worker/(model|ops|optim|train|collective|checkpoint|data|device|serve)"
    r"|tools/(model|corpus))/|^worker/torch_precompiled\.h$")
GRPC_PLACES = re.compile(
    r"^(common/rpc/|coordinator/rpc/|worker/daemon/|worker/serve/"
    r"|worker/train/control_client|tools/loryctl/)")
# Seconds a file. The two programs are trees of CLI11's commands.
CLI11_PLACES = re.compile(r"^(common/flags/|tools/(loryctl|model)/)")
CUDA = re.compile(r"^(cuda|cublas|cudnn|nccl)[\w/]*\.h$")
CUDA_PLACES = re.compile(
    r"^worker/(device/|ops/[^/]*cuda|collective/nccl)|\.cuh?$")
# What a pure decision must not even see, through any number of headers.
PURE = ("coordinator/plan/", "coordinator/state/")
IMPURE = re.compile(
    r"^(thread|mutex|chrono|condition_variable|future|atomic|ctime|time\.h"
    r"|shared_mutex|stop_token|random|unistd\.h|grpc.*"
    r"|common/base/(clock|mutex|random)\.h)$")


def product_files(tree):
    return [f for f in tree.cxx()
            if f.split("/")[0] in ("common", "coordinator", "worker", "tools")]


def folder_of(include):
    if include.startswith("lory/"):
        return "proto"
    return include.rpartition("/")[0]


def is_ours(include):
    return include.split("/")[0] in ("common", "coordinator", "worker",
                                     "tools", "tests", "lory", "proto")


def edges(tree):
    graph = {}
    for path in product_files(tree):
        source = folder_of(path)
        for line, include, quoted in includes(tree.text(path)):
            target = folder_of(include)
            if not quoted or not is_ours(include) or source == target:
                continue
            graph.setdefault(source, {}).setdefault(target, (path, line))
            known = EDGES.get(source)
            if known is None:
                yield Finding(path, line, f"{source} is not in the table of "
                              "tests/lint/include_graph.py: give it a place")
            elif target not in known:
                yield Finding(path, line, f"{source} may not include {target}")
    yield from cycles(graph)


def cycles(graph):
    """Directories that reach themselves, each cycle once."""
    reported = set()
    for start in sorted(graph):
        trail = [(start, [start])]
        seen = set()
        while trail:
            folder, way = trail.pop()
            for target in sorted(graph.get(folder, {})):
                if target == start:
                    if frozenset(way) not in reported:
                        reported.add(frozenset(way))
                        path, line = graph[folder][target]
                        yield Finding(path, line, "cycle of directories: "
                                      + " -> ".join(way + [start]))
                elif target not in seen:
                    seen.add(target)
                    trail.append((target, way + [target]))


def heavy_headers(tree):
    for path in product_files(tree):
        for line, include, quoted in includes(tree.text(path)):
            if include.startswith(TORCH) and not TORCH_PLACES.match(path):
                yield Finding(path, line, f"LibTorch ({include}) has no place "
                              "here: the control plane builds without it")
            is_grpc = include.startswith(("grpc/", "grpcpp/")) or \
                include.endswith(".grpc.pb.h")
            if is_grpc and not GRPC_PLACES.match(path):
                yield Finding(path, line, f"gRPC ({include}) has no place here")
            if include.startswith("CLI/") and not CLI11_PLACES.match(path):
                yield Finding(path, line, f"CLI11 ({include}) has no place "
                              "here: use common/flags")
            if CUDA.match(include) and not CUDA_PLACES.search(path):
                yield Finding(path, line, f"CUDA ({include}) has no place here")


def pure(tree):
    for path in tree.cxx():
        if path.startswith(PURE):
            yield from impurities(tree, path)


def impurities(tree, path):
    trail = [(path, None, path)]
    seen = {path}
    while trail:
        file, first_line, way = trail.pop()
        for line, include, quoted in includes(tree.text(file)):
            at = first_line or line
            if IMPURE.match(include):
                yield Finding(path, at, f"{include} in pure code, by {way}")
            elif quoted and include not in seen and tree.exists(include):
                seen.add(include)
                trail.append((include, at, f"{way} > {include}"))


RULES = {"edges": edges, "heavy-headers": heavy_headers, "pure": pure}
