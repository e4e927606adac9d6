#!/usr/bin/env python3
"""Copies a folder of recorded steps and damages the copy in one way.

usage: damage.py FOLDER COPY DAMAGE
"""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
from safetensors_io import load, save  # noqa: E402


def edit_json(path, **changes):
    document = json.loads(path.read_text())
    document.update(changes)
    path.write_text(json.dumps(document))


def edit_tensors(path, change):
    tensors, _ = load(path)
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(tensors)
    save(path, tensors)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def change_results(tensors):
    tensors["grad.model.layers.0.mlp.up_proj.weight"][3, 5] *= 3
    tensors["grad.model.norm.weight"] = tensors["grad.model.norm.weight"][1:]
    del tensors["grad.lm_head.weight"]
    del tensors["after3.model.layers.1.mlp.up_proj.weight"]
    tensors["logits"][0, 3, 7] = float("nan")


def change_ids(tensors):
    tensors["input_ids"][1, 2] = 264


def set_tensor(name, change):
    return lambda f: edit_tensors(f / "io.safetensors", lambda t: t.update({name: change(t[name])}))


def change_all(folder):
    edit_tensors(folder / "io.safetensors", change_results)
    edit_json(folder / "meta.json", losses={"main": 5.7, "other": 1.0}, steps=[1.0])


DAMAGES = {
    "no-meta": lambda f: (f / "meta.json").unlink(),
    "cut-io": lambda f: cut(f / "io.safetensors"),
    "vocabulary": lambda f: edit_json(f / "config.json", vocab_size=300),
    "width": lambda f: edit_json(f / "config.json", intermediate_size=288),
    "layers": lambda f: edit_json(f / "config.json", num_hidden_layers=3),
    "model-type": lambda f: edit_json(f / "config.json", model_type="unheard_of"),
    "config-value": lambda f: edit_json(f / "config.json", hidden_size="wide"),
    "meta-total": lambda f: edit_json(f / "meta.json", total="much"),
    "meta-json": lambda f: (f / "meta.json").write_text("{"),
    "ids": lambda f: edit_tensors(f / "io.safetensors", change_ids),
    "no-ids": lambda f: edit_tensors(f / "io.safetensors", lambda t: t.pop("input_ids")),
    "results": change_all,
    "ids-below": set_tensor("input_ids", lambda ids: ids * 0 - 2),
    "ids-flat": set_tensor("input_ids", lambda ids: ids.ravel()),
    "ids-type": set_tensor("input_ids", lambda ids: ids.astype("float32")),
    "logits-type": set_tensor("logits", lambda logits: logits.astype("int32")),
    "no-logits": lambda f: edit_tensors(f / "io.safetensors", lambda t: t.pop("logits")),
    "parameter-type": lambda f: edit_tensors(f / "model.safetensors", lambda t: t.update(
        {"model.norm.weight": t["model.norm.weight"].astype("int32")})),
    "cut-parameters": lambda f: cut(f / "model.safetensors"),
    "empty-parameters": lambda f: (f / "model.safetensors").write_bytes(b""),
    "config-folder": lambda f: ((f / "config.json").unlink(), (f / "config.json").mkdir()),
    "negative-weight": lambda f: edit_json(f / "meta.json", balance_alpha=-1),
    "other-weight": lambda f: edit_json(f / "meta.json", mtp_weight=0.3),
    "too-large": lambda f: (f / "meta.json").write_text('{"total": 1e999}'),
    "no-mtp-logits": lambda f: edit_tensors(f / "io.safetensors", lambda t: t.pop("mtp_logits")),
    # Published configurations of models with MTP, recorded by a library that does not have it.
    "unrecorded-mtp": lambda f: edit_json(f / "config.json", num_nextn_predict_layers=1),
    # The opposite: a library that drops the key.
    "dropped-mtp-key": lambda f: edit_json(f / "config.json", num_nextn_predict_layers=0),
}


def main():
    source, copy, damage = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    DAMAGES[damage](copy)


if __name__ == "__main__":
    main()
