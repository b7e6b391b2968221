"""A generator in another program: a tone whose pitch is the seed's. Misbehaves when the prompt says so.

Standard library alone: what a program must do to be evaluated is all here.
"""

import json
import math
import os
import subprocess
import sys
import time
import wave
from pathlib import Path

print("loading weights")  # what is no answer goes to the log
sys.stdout.flush()


def write(asked, seconds=None, rate=None, channels=None):
    """A sine of 16-bit samples, as long and as wide as asked for unless told otherwise."""
    rate, channels = rate or asked["sample_rate"], channels or asked["channels"]
    pitch = 200 + asked["seed"] % 1000
    with wave.open(asked["out"], "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        for i in range(round((asked["seconds"] if seconds is None else seconds) * rate)):
            value = round(10000 * math.sin(2 * math.pi * pitch * i / rate))
            file.writeframesraw(value.to_bytes(2, "little", signed=True) * channels)


for line in sys.stdin:
    asked = json.loads(line)
    prompt, answer = asked["prompt"], {"out": asked["out"]}
    if "die" in prompt:
        sys.exit("first line\nout of paper")
    if "crash" in prompt:
        os.abort()
    if "hang" in prompt:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["NOTES"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    if "refuse" in prompt:
        answer = {"error": "no such sound"}
    elif "rate" in prompt:
        write(asked, rate=4000)
    elif "mono" in prompt:
        write(asked, channels=1)
    elif "short" in prompt:
        write(asked, seconds=asked["seconds"] / 2)
    elif "long" in prompt:
        write(asked, seconds=2 * asked["seconds"])
    elif "hidden" in prompt:
        pass
    elif "text" in prompt:
        Path(asked["out"]).write_text("a bell, loud")
    elif "elsewhere" in prompt:
        answer = {"out": "/tmp/other.wav"}
    elif "chatty" in prompt:
        print("50 %")
        write(asked)
    elif "process" in prompt:
        answer = {"error": f"process {os.getpid()}"}
    else:
        write(asked)
    print(json.dumps(answer), flush=True)
