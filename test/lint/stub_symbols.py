#!/usr/bin/env python3
"""Reads `nm -C` of the stub and refuses symbols that name tensor arithmetic or parts of a model."""
import re
import sys

WORDS = re.compile(r"gemm|matmul|softmax|\brelu|silu|adamw?\b|attention|rms_?norm|\bmoe\b|\bmla\b|\bmtp\b|swiglu|"
                   r"deepseek|llama|cblas|convolution|layer_?norm", re.I)
symbols = [line for line in sys.stdin.read().splitlines() if line.strip()]
if len(symbols) < 100:
    sys.exit(f"only {len(symbols)} symbols: is this the stub?")
bad = [line for line in symbols if WORDS.search(line)]
print("\n".join(bad))
sys.exit(1 if bad else 0)
