#!/usr/bin/env python3
"""Writes the inputs that fuzzers begin with: whole, small files of every kind.

    python3 tests/fuzz/seeds.py FOLDER

makes FOLDER/NAME/ for every tests/fuzz/NAME_fuzz.cc. Nothing binary is kept in
the repository, and a format that changes changes its seed here.
"""

import gzip
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CUT = "\n--8<--\n"
HASH = "0123456789abcdef" * 4


def text_file(path):
    return (ROOT / path).read_text(encoding="utf-8")


def zstd_of(data):
    """One frame with one raw block (RFC 8878): no compressor is needed."""
    block = struct.pack("<I", len(data) << 3 | 1)[:3]
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + block + data


def line_files():
    lines = b'{"text": "a"}\n\n{"text": "b"}'
    packed = gzip.compress(lines, mtime=0)
    return [b"\x00" + lines, b"\x00\xef\xbb\xbfa\n", b"\x01" + packed * 2,
            b"\x02" + zstd_of(lines) * 2]


def index_of(code, width, lengths, marks, ids):
    pointers = [width * sum(lengths[:i]) for i in range(len(lengths))]
    idx = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(lengths),
                                       len(marks))
    idx += b"".join(struct.pack("<i", n) for n in lengths)
    idx += b"".join(struct.pack("<q", n) for n in pointers + marks)
    name = {1: "B", 2: "H", 4: "i", 8: "q"}[width]
    data = b"".join(struct.pack("<" + name, i) for i in ids)
    return struct.pack("<H", len(idx)) + idx + data


def mds_index():
    shard = {"version": 2, "format": "mds", "compression": None, "hashes": [],
             "samples": 2, "size_limit": 1 << 26, "column_names": ["id", "text"],
             "column_encodings": ["int", "str"], "column_sizes": [8, None],
             "raw_data": {"basename": "shard.00000.mds", "bytes": 64,
                          "hashes": {}}, "zip_data": None}
    packed = dict(shard, column_names=["tokens"], column_sizes=[8],
                  column_encodings=["ndarray:int32:2"],
                  raw_data={"basename": "shard.00001.mds", "bytes": 90,
                            "hashes": {}},
                  zip_data={"basename": "shard.00001.mds.zstd", "bytes": 32,
                            "hashes": {}})
    return [json.dumps({"version": 2, "shards": [shard, packed]})]


def mds_shard():
    """Columns as in mds_shard_fuzz.cc: any, domain, id, pair, short, text."""
    def sample(text):
        values = [b"\x21\x04\x02" + struct.pack("<ii", 3, 4), b"news",
                  struct.pack("<ii", 5, 6), b"\x04\x01" + struct.pack("<H", 7),
                  text]
        any_, domain, pair, short, text = values
        sizes = struct.pack("<4I", len(any_), len(domain), len(short),
                            len(text))
        return sizes + any_ + domain + struct.pack("<q", 9) + pair + short + text

    samples = [sample(b"a text"), sample(b"")]
    begin = 4 * (2 + len(samples))
    offsets = [begin + len(b"".join(samples[:i])) for i in range(3)]
    return [struct.pack("<I3I", len(samples), *offsets) + b"".join(samples)]


def steps_files():
    def words(pattern, behavior="Isolated"):
        return {"type": "Split", "pattern": {"Regex": pattern},
                "behavior": behavior, "invert": False}

    sequence = {"type": "Sequence", "pretokenizers": [
        words(r"\p{N}{1,3}| ?\p{L}+|\s+(?!\S)|\s+|[^\s\p{L}\p{N}]+"),
        {"type": "ByteLevel", "add_prefix_space": True, "use_regex": False}]}
    ends = [{"id": 300, "content": "<|endoftext|>", "special": True},
            {"id": 301, "content": "<t>", "special": False, "normalized": True}]
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    steps = [{"pre_tokenizer": level, "decoder": level, "added_tokens": ends},
             {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence,
              "decoder": level},
             {"normalizer": {"type": "Sequence", "normalizers": [
                 {"type": "Prepend", "prepend": "\u2581"},
                 {"type": "Replace", "pattern": {"String": " "},
                  "content": "\u2581"}]}, "pre_tokenizer": None,
              "decoder": {"type": "Sequence", "decoders": [
                  {"type": "Replace", "pattern": {"String": "\u2581"},
                   "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}}]
    names = {f"<0x{b:02X}>": b for b in range(256)}
    names.update({"a": 256, "b": 257, "ab": 258, "\u2581": 259})
    whole = dict(steps[2], model={"type": "BPE", "byte_fallback": True,
                                  "vocab": names, "merges": ["a b"]})
    return [json.dumps(s, ensure_ascii=False)[1:-1] + CUT + "ab <t> 12"
            for s in steps] + [json.dumps(whole) + CUT + "ab c"]


def field(number, data):
    if isinstance(data, int):
        return bytes([number << 3, data])
    return bytes([number << 3 | 2, len(data)]) + data


def piece(text, score=-1.0, kind=1):
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", score)
                 + field(3, kind))


def model_files():
    """Behind the fields of a small model, by tokenizer_model_fuzz.cc."""
    more = piece(b"ba") + piece(b"abc", -9) + piece(b"<u>", 0, 4)
    unit = struct.pack("<4I", 4 << 10, 0x61 | 1 << 8, 0, 0)
    charsmap = struct.pack("<I", len(unit)) + unit + b"b\0"
    rules = field(3, field(2, charsmap) + field(3, 0) + field(4, 1))
    cut = CUT.encode()
    return [b"\0" + more + cut + b"abcba", b"\0" + rules + cut + b"a b  c",
            b"\1" + more + field(2, field(3, 2) + b"\x98\x02\x01")]


def word_files():
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = marks + ["na", "##ive", "##a", "words", ",", "un", "##aff", "##able"]
    settings = json.dumps({"do_lower_case": True, "strip_accents": None})
    cleaning = {"type": "BertNormalizer", "clean_text": True, "lowercase": True,
                "handle_chinese_chars": True, "strip_accents": None}
    whole = {"model": {"type": "WordPiece", "unk_token": "[UNK]",
                       "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100,
                       "vocab": {w: i for i, w in enumerate(words)}},
             "added_tokens": [{"id": 3, "content": "[SEP]"}],
             "normalizer": cleaning, "pre_tokenizer": {"type": "BertPreTokenizer"}}
    text = CUT + settings + CUT + "unaffable, na\u00efve [SEP]"
    return ["\0" + "\n".join(words) + "\n" + text,
            "\1" + json.dumps(whole) + text]


def encoder_files():
    config = {"architectures": ["BertModel"], "model_type": "bert",
              "hidden_size": 8, "num_hidden_layers": 2,
              "num_attention_heads": 2, "intermediate_size": 16,
              "vocab_size": 30, "max_position_embeddings": 16,
              "type_vocab_size": 2, "layer_norm_eps": 1e-12,
              "hidden_act": "gelu", "position_embedding_type": "absolute"}
    modules = [{"idx": 1, "name": "1", "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling"}]
    pooling = {"word_embedding_dimension": 8, "pooling_mode_cls_token": False,
               "pooling_mode_mean_tokens": True}
    return [CUT.join(json.dumps(part) for part in (config, modules, pooling))]


def safetensors_of(header, data):
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def safetensors_files():
    def entry(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return [safetensors_of(
        {"__metadata__": {"format": "pt"}, "w": entry("F32", [2, 3], 0, 24),
         "param/w[0:4]": entry("BF16", [4], 24, 32),
         "empty": entry("I64", [0, 7], 32, 32)}, bytes(32)),
        safetensors_of({}, b"")]


def dataset_manifest():
    def shard(name):
        return {"file": name, "sequence_count": 3, "bin_bytes": 54,
                "bin_sha256": HASH, "idx_sha256": HASH}
    return [json.dumps({
        "kind": "lory.dataset", "version": 1, "name": "demo",
        "order": "similarity", "seed": 1, "sequence_length": 8,
        "vocabulary_size": 300, "tokenizer_file": "tokenizer.json",
        "tokenizer_sha256": HASH, "document_count": 12, "token_count": 54,
        "neighbor_similarity": 0.3, "shards": [shard("train-0")],
        "held_out": [{"domain": "news", "shard": shard("held-out-news"),
                      "kept_out": True}]})]


def checkpoint_manifest():
    spec = {"model": {"width": 64, "feed_forward": {"lory": {
        "expert_count": 4, "segment_length": 8}}},
        "optimizer": {"learning_rate": 1e-3}, "step_count": "100", "seed": "7"}
    return [json.dumps({
        "version": 1, "job": "jobs/tiny", "step": 40, "generation": 3,
        "cursor": 40, "sample_digest": HASH, "parts": [
            {"file": "part-0-of-1.safetensors", "size_bytes": 10,
             "sha256": HASH}], "previous_manifest_sha256": "",
        "tokenizer_sha256": HASH, "spec": spec})]


def corpus_files():
    line = json.dumps({"id": "00ff", "name": "a", "domain": "news",
                       "first_token": 0, "token_count": 5,
                       "similarity": 0.25, "pass": 1})
    stage = json.dumps({"stage": "a", "version": 1, "options": {}, "inputs": {},
                        "fingerprint": HASH, "outputs": [
                            {"file": "a.bin", "bytes": 5, "sha256": HASH}],
                        "figures": {"documents": 5.0}})
    return [line, line + "\n" + line.replace(": 0,", ": 5,") + "\n", stage]


def trace_files():
    def line(step):
        return json.dumps({"step": step, "generation": 1,
                           "sums": ["00000000000000ff", "1"],
                           "shares": [2, 2], "digest": HASH},
                          separators=(",", ":"))
    return [line(0), line(0) + "\n" + line(1)[:40] + line(1) + "\nx\n"]


def journal_records():
    spec = ("spec { dataset: 'datasets/d' step_count: 4 micro_batches: 2 "
            "micro_batch_sequences: 2 seed: 1 model { width: 8 } }")
    records = [
        "dataset_created { dataset { name: 'datasets/d' sequence_count: 9 } }",
        f"job_created {{ job {{ name: 'jobs/a' {spec} state: QUEUED }} }}",
        "job_state_changed { job: 'jobs/a' state: RUNNING reason: 'r' }",
        "generation_opened { job: 'jobs/a' generation: 1 reason: 'r' }",
        "generation_started { job: 'jobs/a' generation: 1 }",
        "checkpoint_committed { checkpoint { name: 'jobs/a/checkpoints/2' "
        "step: 2 generation: 1 state: COMMITTED } }",
        "generation_ended { job: 'jobs/a' generation: 1 }",
        f"job_spec_changed {{ job: 'jobs/a' {spec} }}",
        "job_deleted { job: 'jobs/a' }"]
    return [CUT.join(records), CUT.join(records[:-1])]


def requests():
    body = '{"prompt": "a"}'
    return ["GET /page?a=%20b HTTP/1.1\r\nHost: x\r\n\r\n",
            "HEAD /page HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            f"\r\nContent-Length: {len(body)}\r\n\r\n{body}",
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            f"\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{body}\r\n0\r\n\r\n"]


def completions():
    return ['{"prompt": "Hi", "stop": null}', '{"tokens": [1, 2]}',
            '{"model": "m", "prompt": [[5, 6], [7]], "temperature": 0.5, '
            '"top_p": 0.9, "top_k": 3, "max_tokens": 1, "logprobs": 1, '
            '"seed": 1234, "echo": true, "n": 1, "stop": ["a", "b"], '
            '"user": "u", "logit_bias": {}, "inference": "segment", '
            '"stream": false}']


def hugging_face():
    llama = {"model_type": "llama", "vocab_size": 100, "hidden_size": 32,
             "intermediate_size": 40, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2,
             "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
             "rope_theta": 5e5, "rope_scaling": None,
             "tie_word_embeddings": True, "architectures": ["LlamaForCausalLM"]}
    mixtral = dict(llama, model_type="mixtral", num_local_experts=4,
                   num_experts_per_tok=2, router_aux_loss_coef=0.02,
                   architectures=["MixtralForCausalLM"])
    return [json.dumps(llama), json.dumps(mixtral)]


def seeds():
    patterns = [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
                r"(?<=a)b|\u00e9|[[:alpha:]&&a-c]|\x{41}"]
    texts = ["Na\u00efve  caf\u00e9\n12 ab\u2581ab <t>", "\u0041\u030a\u1e9b\ufb01",
             b"a\xff\xed\xa0\x80\xf4\x90"]
    return {
        "checkpoint_manifest": checkpoint_manifest(),
        "completion_request": completions(),
        "corpus_files": corpus_files(),
        "corpus_spec": [text_file("tools/corpus/example/corpus.yaml"),
                        text_file("tools/quickstart/corpus.yaml")],
        "dataset_manifest": dataset_manifest(),
        "encoder_config": encoder_files(),
        "http_request": requests(),
        "hugging_face_config": hugging_face(),
        "input_line": ['{"text": "a\\u00e9", "id": 7, "domain": "news"}',
                       '{"a": {"text": "a", "0": "b"}, "domain": null}'],
        "job_file": [text_file("tools/quickstart/job.yaml"),
                     text_file("tools/quickstart/job.yaml") + CUT
                     + "model.width=256"],
        "journal": journal_records(),
        "line_reader": line_files(),
        "mds_index": mds_index(),
        "mds_shard": mds_shard(),
        "names": ["Bearer 0123456789abcdef", "Basic YTpi", "[::1]:x",
                  "unix:/a", "localhost:x", "jobs/a"],
        "ring_hello": ["", "\0" * 12 + "\1"],
        "safetensors": safetensors_files(),
        "split_pattern": [p + CUT + "I'll b\u00e9 12" for p in patterns],
        "status_details": [b"why" + CUT.encode() + b"\x0a\x05A_FOO\x12\x06"
                           b"\x0a\x01a\x12\x01b"],
        "token_index": [index_of(4, 4, [3, 3], [0, 1, 2], [1, 2, 3, 4, 5, 6]),
                        index_of(8, 2, [2, 0, 1], [0, 2, 3], [7, 8, 9]),
                        index_of(8, 2, [2, 2], [0, 1, 2], [7, 8, 9, 9])],
        "token_lines": ['"a text"\n"b"', "[1, 2]\n[300]\n"],
        "tokenizer_json": steps_files(),
        "tokenizer_model": model_files(),
        "tokens_of_text": texts,
        "trace": trace_files(),
        "unicode": texts,
        "word_piece": word_files(),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    targets = {path.name.removesuffix("_fuzz.cc")
               for path in (ROOT / "tests/fuzz").glob("*_fuzz.cc")}
    made = seeds()
    if targets != set(made):
        sys.exit(f"fuzzers and seeds differ: {sorted(targets ^ set(made))}")
    for name, inputs in made.items():
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            data = data.encode() if isinstance(data, str) else data
            (folder / f"seed-{number}").write_bytes(data)


if __name__ == "__main__":
    main()
