"""lm-eval through lory-server's HTTP against scores of lory-model.

Run by ctest; by hand: lm_eval_test.py --bin build/dev/bin [test names].
Environment and skipping: as llama_exchange_test.py.

`lm_eval --model local-completions` does a small task of its own YAML and a file
of JSON lines, with no network but loopback. Every choice's log-likelihood is
that of `lory-model logits` on the same tokens, to 1e-3: of a dense model, and
of a Lory model in SEGMENT and in PROMPT inference. The completions protocol has
no place to say where the context ends, so PROMPT routes by context and choice
together, and so does the first segment of a context that is shorter than one;
routed by the context alone the score is another number, which a test shows.

`lory-model eval --tasks` gives the same scores, and the same acc, acc_norm and
acc_bytes, where the context decides nothing that the protocol cannot say: of the
dense model, and in SEGMENT of items whose context has a whole segment.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

# First: it looks for an environment that has torch.
import llama_exchange_test as exchange
import environment
from llama_exchange_test import lory_model, make_experts_differ, our_logits
from service import Process
from tokenizers import Tokenizer
import torch

TOLERANCE = 1e-3
LENGTH = 64  # of the model's context
TASK = """task: lory_local
dataset_path: json
dataset_kwargs: {data_files: {test: ITEMS}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_bytes}]
"""
DELIMITER = " "  # lm-eval's default, between context and choice
SEGMENT = 16  # tokens
# Contexts shorter and longer than a segment.
ITEMS = [
    {"context": "The function returns the number of",
     "choices": ["bytes that were read", "kings of Israel", "x"],
     "answer": 0},
    {"context": "And God said unto Moses, Go in unto Pharaoh, and tell him, "
                "Thus saith the",
     "choices": ["LORD God of the Hebrews", "return value"], "answer": 0},
    {"context": "def main():\n    for line in sys.stdin:\n        return",
     "choices": ["line.strip()", "the dictionary"], "answer": 0},
    {"context": "If the file does not exist, an error",
     "choices": ["is returned.", "of the people,", "=~ /foo/;"],
     "answer": 0},
]


class LmEvalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lory-lm-eval-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        trained, cls.data = exchange.train_lory(cls.folder)
        cls.lory = cls.folder / "far/step-40.gen-1"
        make_experts_differ(trained, cls.lory)
        cls.dense = cls.folder / "dense"
        lory_model("export", cls.lory, "--to", cls.folder / "hf", "--routing",
                   "uniform")
        lory_model("import", cls.folder / "hf", "--to", cls.dense)
        cls.tokenizer = Tokenizer.from_file(str(cls.data / "tokenizer.json"))
        items = cls.folder / "items.jsonl"
        items.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
        tasks = cls.folder / "tasks"
        tasks.mkdir()
        (tasks / "lory_local.yaml").write_text(TASK.replace("ITEMS", str(items)))
        (cls.folder / "ours.jsonl").write_text("".join(
            json.dumps({**item, "choices": [
                DELIMITER + choice for choice in item["choices"]]}) + "\n"
            for item in ITEMS))

    def lm_eval(self, name, checkpoint, inference):
        """What lm-eval says: log-likelihoods of each item's choices, the samples
        with what each metric makes of them, and the means of the metrics."""
        server = Process(f"server-{name}", [
            exchange.BIN / "lory-server", "--checkpoint", checkpoint,
            "--tokenizer", self.data, "--listen", "127.0.0.1:0", "--http",
            "127.0.0.1:0", "--threads", "1", "--inference", inference],
            self.folder)
        self.addCleanup(server.stop)
        url = f"http://{server.start()['http']}/v1"
        with urllib.request.urlopen(f"{url}/models", timeout=60) as answer:
            model = json.loads(answer.read())["data"][0]["id"]
        out = self.folder / f"out-{name}"
        done = subprocess.run(
            [sys.executable, "-m", "lm_eval", "--model", "local-completions",
             "--model_args", f"model={model},base_url={url}/completions,"
             f"tokenizer_backend=remote,max_length={LENGTH},max_retries=1",
             "--include_path", self.folder / "tasks", "--tasks", "lory_local",
             "--output_path", out, "--log_samples"],
            capture_output=True, text=True, timeout=600, check=False,
            env={**os.environ, "HF_HOME": str(self.folder / "hf-home"),
                 "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        server.stop()
        samples = [json.loads(line) for line in next(
            out.rglob("samples_lory_local_*.jsonl")).read_text().splitlines()]
        samples.sort(key=lambda sample: sample["doc_id"])
        results = json.loads(next(out.rglob("results_*.json")).read_text())
        return ([[float(answer[0][0]) for answer in sample["resps"]]
                 for sample in samples], samples,
                results["results"]["lory_local"])

    def ours(self, checkpoint, *routing):
        """The same numbers from lory-model's logits of context and choice; each
        `{context}` in `routing` stands for the item's."""
        return [[self.score(checkpoint, item["context"], choice, [
            text.replace("{context}", item["context"]) for text in routing])
            for choice in item["choices"]] for item in ITEMS]

    def length(self, context):
        return len(self.tokenizer.encode(context).ids)

    def compare_eval(self, name, checkpoint, theirs, samples, items, *options):
        """`lory-model eval` on `items`, by number, against what lm-eval said."""
        out = self.folder / f"eval-{name}"
        lory_model("eval", checkpoint, "--tasks", self.folder / "ours.jsonl",
                   "--tokenizer", self.data, "--to", out, *options)
        lines = [json.loads(line) for line in
                 (out / "items.jsonl").read_text().splitlines()]
        self.assertEqual(len(lines), len(ITEMS))
        self.assertTrue(items)
        distance = farthest([theirs[i] for i in items],
                            [lines[i]["log_likelihoods"] for i in items])
        print(f"{name}: eval --tasks on {len(items)} items differs by "
              f"{distance:.1e}", flush=True)
        self.assertLessEqual(distance, TOLERANCE)
        for i in items:
            answer = lines[i]["answer"]
            self.assertEqual(samples[i]["acc"], lines[i]["raw"] == answer)
            for metric in ("acc_norm", "acc_bytes"):
                self.assertEqual(samples[i][metric],
                                 lines[i]["by_byte"] == answer)
        return json.loads((out / "evaluation.json").read_text())["tasks"][0]

    def score(self, checkpoint, context, choice, routing):
        tokens = self.tokenizer.encode(context + DELIMITER + choice).ids
        begin = self.length(context)
        self.assertLess(len(tokens), LENGTH)
        logits = our_logits(
            self.folder, checkpoint, "--tokens", ",".join(map(str, tokens)),
            *routing)["logits"]
        scores = torch.log_softmax(logits.double(), -1)
        return sum(scores[at - 1, tokens[at]].item()
                   for at in range(begin, len(tokens)))

    def check(self, name, checkpoint, inference):
        theirs, samples, means = self.lm_eval(name, checkpoint, inference)
        mine = self.ours(checkpoint, "--inference", inference)
        self.assertEqual([len(scores) for scores in theirs],
                         [len(item["choices"]) for item in ITEMS])
        distance = farthest(theirs, mine)
        right = sum(scores.index(max(scores)) == item["answer"]
                    for scores, item in zip(mine, ITEMS))
        print(f"{name}: {sum(map(len, mine))} scores from "
              f"{min(map(min, mine)):.1f} to {max(map(max, mine)):.1f}, differ by "
              f"{distance:.1e}; {right} of {len(ITEMS)} right", flush=True)
        self.assertLessEqual(distance, TOLERANCE)
        self.assertEqual(means["acc,none"], right / len(ITEMS))
        return mine, theirs, samples, means

    def test_a_dense_model(self):
        _, theirs, samples, means = self.check("dense", self.dense, "prompt")
        task = self.compare_eval("dense", self.dense, theirs, samples,
                                 range(len(ITEMS)))
        self.assertEqual(means["acc,none"], task["raw"]["accuracy"])
        self.assertEqual(means["acc_norm,none"], task["by_byte"]["accuracy"])
        self.assertEqual(means["acc_bytes,none"], task["by_byte"]["accuracy"])
        self.assertAlmostEqual(means["acc_stderr,none"], task["raw"]["error"])

    def test_a_lory_model_in_segments(self):
        segments, theirs, samples, _ = self.check("segment", self.lory, "segment")
        longer = [i for i, item in enumerate(ITEMS)
                  if self.length(item["context"]) >= SEGMENT]
        self.compare_eval("segment", self.lory, theirs, samples, longer,
                          "--inference", "segment")
        prompt = self.ours(self.lory, "--inference", "prompt")
        self.assertGreater(farthest(segments, prompt), TOLERANCE)

    def test_a_lory_model_by_its_prompt(self):
        whole, *_ = self.check("prompt", self.lory, "prompt")
        by_context = self.ours(self.lory, "--tokenizer", str(self.data),
                               "--prompt", "{context}")
        self.assertGreater(farthest(whole, by_context), TOLERANCE)


def farthest(theirs, mine):
    return max(abs(a - b) for scores, others in zip(theirs, mine)
               for a, b in zip(scores, others))


if __name__ == "__main__":
    if importlib.util.find_spec("lm_eval") is None:
        print("skipped: no lm_eval; python -m pip install -r "
              "tests/interop/requirements.txt")
        sys.exit(environment.SKIPPED)
    exchange.run_tests(__doc__, threads=1)
