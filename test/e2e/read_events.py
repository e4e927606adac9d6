#!/usr/bin/env python3
"""Prints what TensorBoard's own reader finds in a folder: {"scalars": {tag: {step: value}}, "lists": the same}.

usage: read_events.py FOLDER

Runs itself with the Python of `build/venv`, where `./dev setup` puts TensorBoard (test/requirements.txt).
"""
import json
import os
import pathlib
import sys

VENV = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "venv"


def by_step(events, value_of):
    steps = {}
    for event in events:
        if event.step in steps:
            sys.exit(f"read_events: step {event.step} is there twice")
        steps[event.step] = value_of(event)
    return steps


def main():
    python = VENV / "bin" / "python"
    if sys.executable != str(python):
        if not python.exists():
            sys.exit(f"read_events: TensorBoard is missing: there is no '{python}'; './dev setup' makes it")
        os.execv(python, [str(python), *sys.argv])
    from tensorboard.backend.event_processing.event_accumulator import HISTOGRAMS, SCALARS, EventAccumulator
    # 0: every event in place of a sample.
    reader = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0, HISTOGRAMS: 0})
    reader.Reload()
    tags = reader.Tags()
    json.dump({"scalars": {tag: by_step(reader.Scalars(tag), lambda event: event.value) for tag in tags["scalars"]},
               "lists": {tag: by_step(reader.Histograms(tag), lambda event: event.histogram_value.bucket)
                         for tag in tags["histograms"]}}, sys.stdout)


main()
