"""Reads and writes safetensors files with NumPy: an independent counterpart of the runtime's own code."""
import json
import pathlib

import numpy as np

TYPES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64}


def header_of(data):
    """Where the numbers begin, and the entries of the header by name."""
    begin = 8 + int.from_bytes(data[:8], "little")
    return begin, json.loads(data[8:begin])


def load(path):
    """Tensors by name, and the metadata."""
    data = pathlib.Path(path).read_bytes()
    begin, header = header_of(data)
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        first, last = (begin + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[first:last], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def save(path, tensors):
    names = {np.dtype(numpy_type): name for name, numpy_type in TYPES.items()}
    header, chunks, offset = {}, [], 0
    for name, array in tensors.items():
        chunk = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(chunks))
