"""lory-server with a checkpoint of random numbers, for a test to ask."""

import json
import urllib.request

# First: it finds the folders of what follows, and an environment with torch.
import llama_exchange_test as exchange
from serve_test import VOCABULARY, write_tokenizer  # noqa: F401
from service import Process


class ServedModel:
    """`folder` is for its files; the test stops it. The tokenizer, unless one is
    given, has a token for each byte, and one for the end: VOCABULARY in all."""

    def __init__(self, folder, checkpoint, tokenizer=None):
        if tokenizer is None:
            tokenizer = folder / "tokenizer.json"
            write_tokenizer(tokenizer)
        self.process = Process("server", [
            exchange.BIN / "lory-server", "--checkpoint", checkpoint,
            "--tokenizer", tokenizer, "--listen", "127.0.0.1:0", "--http",
            "127.0.0.1:0", "--threads", "1", "--soft-moe", "prompt"], folder)
        self.address = self.process.start()["http"]

    def stop(self):
        self.process.stop()

    def ask(self, path, **body):
        """The answer to a POST."""
        request = urllib.request.Request(
            f"http://{self.address}{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def complete(self, **body):
        """The one choice that the completion has."""
        return self.ask("/v1/completions", **body)["choices"][0]

    def scores(self, prompt, **body):
        """Log-probabilities of a prompt's tokens but the first."""
        choice = self.complete(prompt=prompt, max_tokens=0, echo=True,
                               logprobs=1, **body)
        return choice["logprobs"]["token_logprobs"][1:]
